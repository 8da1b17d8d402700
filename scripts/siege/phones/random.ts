/** Numbers from 0 to below 1 that a seed decides: a siege can be had again as it was. */
export type Random = () => number

/** Mulberry32: small, fast, and good enough to spread phones over time. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function between([least, most]: readonly [number, number], random: Random): number {
  return least + (most - least) * random()
}
