export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <circle
        cx="16"
        cy="16"
        r="12"
        fill="none"
        stroke="currentColor"
        stroke-width="3"
        stroke-dasharray="5.4 4.02"
      />
      <circle cx="16" cy="16" r="4.5" fill="currentColor" />
    </svg>
  )
}
