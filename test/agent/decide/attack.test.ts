import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AttackState,
  nextAttackState,
  peaceSince,
  type StrictSettings,
} from '../../../agent/decide/attack.ts'

const START = 1_700_000_000_000
const SECOND = 1_000
const SETTINGS: StrictSettings = { order: 'auto', when: 'auto', total: 2_000 }

/** Summaries of one second each, of so many REGISTERs of unknown sources. */
class Watched {
  now = START
  state: AttackState = peaceSince(START)
  settings = SETTINGS

  seconds(count: number, registers: number): this {
    for (let i = 0; i < count; i++) {
      this.now += SECOND
      this.#next({ now: this.now, rate: { registers, seconds: 1 } })
    }
    return this
  }

  /** Time goes by and the sensor says nothing. */
  silence(count: number): this {
    for (let i = 0; i < count; i++) {
      this.now += SECOND
      this.#next({ now: this.now })
    }
    return this
  }

  order(settings: Partial<StrictSettings>): this {
    this.settings = { ...this.settings, ...settings }
    this.#next({ now: this.now })
    return this
  }

  #next(seen: Parameters<typeof nextAttackState>[2]): void {
    this.state = nextAttackState(this.state, this.settings, seen)
  }

  get is(): 'peace' | 'strict' {
    return this.state.state
  }
}

describe('the strict limits', () => {
  it('decide when unknown sources are over their limit for two seconds', () => {
    const watched = new Watched().seconds(10, 2_000).seconds(1, 50_000)
    expect(watched.is).toBe('peace')
    watched.seconds(1, 2_000).seconds(1, 2_001)
    expect(watched.is).toBe('peace')
    watched.seconds(1, 2_001)
    expect(watched.state).toMatchObject({
      state: 'strict',
      since: watched.now,
      why: 'Unknown sources sent over 2,000 REGISTERs a second for two seconds.',
      strictUntil: watched.now + 120 * SECOND,
    })
  })

  it('take the rate, however long a summary is', () => {
    const watched = new Watched()
    watched.now += 4 * SECOND
    watched.state = nextAttackState(watched.state, SETTINGS, {
      now: watched.now,
      rate: { registers: 8_001, seconds: 4 },
    })
    expect(watched.is).toBe('strict')
  })

  it('decide until a minute after it was last over half of that', () => {
    const watched = new Watched().seconds(2, 9_000)
    const { since, why } = watched.state
    watched.seconds(300, 1_001)
    expect(watched.state).toMatchObject({ state: 'strict', since, why })
    watched.seconds(59, 1_000)
    expect(watched.is).toBe('strict')
    watched.seconds(1, 1_000)
    expect(watched.state).toMatchObject({
      state: 'peace',
      since: watched.now,
      why: 'Unknown sources have been under half of 2,000 REGISTERs a second for a minute.',
      strictUntil: null,
    })
  })

  it('do not decide for ever where the sensor says nothing more', () => {
    expect(new Watched().seconds(2, 9_000).silence(59).is).toBe('strict')
    expect(new Watched().seconds(2, 9_000).silence(60).is).toBe('peace')
  })

  it('are renewed in the kernel every thirty seconds, and not oftener', () => {
    const watched = new Watched().seconds(2, 9_000)
    const ends = new Set<number | null>()
    for (let i = 0; i < 120; i++) {
      watched.seconds(1, 9_000)
      ends.add(watched.state.strictUntil)
      expect(watched.state.strictUntil! - watched.now).toBeGreaterThan(89 * SECOND)
    }
    expect(ends.size).toBe(5)
  })

  it.each([
    { order: 'on', when: 'never', rate: 0, is: 'strict', why: 'The operator ordered the strict limits.' },
    {
      order: 'off',
      when: 'always',
      rate: 9e9,
      is: 'peace',
      why: 'The operator ordered the limits of peace.',
    },
    {
      order: 'auto',
      when: 'always',
      rate: 0,
      is: 'strict',
      why: 'The configuration says limits.strict.when: always.',
    },
    {
      order: 'auto',
      when: 'never',
      rate: 9e9,
      is: 'peace',
      why: 'The configuration says limits.strict.when: never.',
    },
  ] as const)('with the order $order and $when in the file: $is', ({ order, when, rate, is, why }) => {
    const watched = new Watched().order({ order, when }).seconds(5, rate)
    expect(watched.state).toMatchObject({ state: is, why })
    expect(watched.state.strictUntil === null).toBe(is === 'peace')
  })

  it('go back to what is seen when the order is taken back', () => {
    const watched = new Watched().order({ order: 'on' }).seconds(5, 0).order({ order: 'auto' })
    expect(watched.is).toBe('peace')
    watched.order({ order: 'off' }).seconds(5, 9_000).order({ order: 'auto' })
    expect(watched.is).toBe('strict')
    watched.order({ order: 'on' }).order({ order: 'auto' })
    expect(watched.state).toMatchObject({
      state: 'strict',
      why: 'Unknown sources sent over 2,000 REGISTERs a second lately.',
    })
  })

  it('decide exactly while the kernel is told so, whatever comes', () => {
    const step = fc.oneof(
      fc.record({ seconds: fc.integer({ min: 1, max: 90 }), rate: fc.constantFrom(0, 900, 1_500, 5_000) }),
      fc.record({ order: fc.constantFrom('auto', 'on', 'off') }),
      fc.record({ silence: fc.integer({ min: 1, max: 90 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const watched = new Watched()
        for (const each of steps) {
          if ('order' in each) watched.order({ order: each.order as StrictSettings['order'] })
          else if ('silence' in each) watched.silence(each.silence)
          else watched.seconds(each.seconds, each.rate)
          expect(watched.state.strictUntil !== null).toBe(watched.is === 'strict')
          if (watched.state.strictUntil !== null)
            expect(watched.state.strictUntil - watched.now).toBeGreaterThan(60 * SECOND)
          if (watched.settings.order !== 'auto')
            expect(watched.is).toBe(watched.settings.order === 'on' ? 'strict' : 'peace')
        }
      }),
    )
  })
})
