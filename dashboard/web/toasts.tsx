import { signal } from '@preact/signals'

export interface Toast {
  readonly id: number
  readonly text: string
  readonly tone: 'done' | 'wrong'
  readonly undo?: { readonly label: string; readonly run: () => Promise<void> }
}

const SHOWN_FOR = 12_000
const AT_ONCE = 4

const toasts = signal<readonly Toast[]>([])
let nextId = 1

/** Says what has happened, for a while; with a way back where there is one. */
export function say(toast: Omit<Toast, 'id'>): void {
  const shown = { ...toast, id: nextId++ }
  toasts.value = [...toasts.value, shown].slice(-AT_ONCE)
  setTimeout(() => dismiss(shown.id), SHOWN_FOR)
}

/** Runs an order and says so where it is refused. */
export async function attempt(run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    say({ text: (error as Error).message, tone: 'wrong' })
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.tone}`} data-testid="toast">
          <span class="toast-text">{toast.text}</span>
          {toast.undo && (
            <button
              type="button"
              class="quiet"
              data-testid="toast-undo"
              onClick={() => {
                dismiss(toast.id)
                void attempt(toast.undo!.run)
              }}
            >
              {toast.undo.label}
            </button>
          )}
          <button type="button" class="quiet close" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  )
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id)
}
