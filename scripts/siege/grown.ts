/** What counts of packets have grown by, each by its name; what has not grown is left out. */
export function grown(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(after)
      .map(([name, packets]) => [name, packets - (before[name] ?? 0)] as const)
      .filter(([, packets]) => packets > 0),
  )
}
