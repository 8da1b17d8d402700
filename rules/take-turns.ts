import { setImmediate } from 'node:timers/promises'

/** About a millisecond's work. */
const A_TURN = 2_000

/** The items, some thousand at a time; in between the event loop has its turn, so that nothing waits behind a bulk. */
export async function* takeTurns<T>(items: Iterable<T>): AsyncGenerator<readonly T[]> {
  let some: T[] = []
  for (const item of items) {
    some.push(item)
    if (some.length < A_TURN) continue
    yield some
    some = []
    await setImmediate()
  }
  yield some
}
