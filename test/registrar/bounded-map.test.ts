import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedMap } from '../../registrar/bounded-map.ts'

describe('BoundedMap', () => {
  it('lets the entry go that was set longest ago, and counts it', () => {
    const letGo: string[] = []
    const map = new BoundedMap<string, number>({ capacity: 2, onLetGo: (key) => letGo.push(key) })
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    map.set('c', 4)
    expect([...map.entries()]).toEqual([
      ['a', 3],
      ['c', 4],
    ])
    expect([map.letGo, letGo, map.size]).toEqual([1, ['b'], 2])
  })

  it('behaves like the plain thing it stands for', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key: fc.nat(9), value: fc.nat(99) }),
      fc.record({ do: fc.constant('delete' as const), key: fc.nat(9) }),
      fc.record({ do: fc.constant('sweep' as const), below: fc.nat(99) }),
    )
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 80 }),
        fc.integer({ min: 1, max: 6 }),
        (actions, capacity) => {
          const map = new BoundedMap<number, number>({ capacity })
          let plain: [number, number][] = []
          for (const step of actions) {
            if (step.do === 'set') {
              map.set(step.key, step.value)
              plain = [...plain.filter(([key]) => key !== step.key), [step.key, step.value]]
              plain = plain.slice(-capacity) as [number, number][]
            } else if (step.do === 'delete') {
              map.delete(step.key)
              plain = plain.filter(([key]) => key !== step.key)
            } else {
              map.sweep((value) => value < step.below)
              while (plain[0] && plain[0][1] < step.below) plain.shift()
            }
          }
          expect([...map.entries()]).toEqual(plain)
          expect(map.size).toBe(plain.length)
        },
      ),
    )
  })

  it('evicts in a time that does not grow with the capacity', () => {
    const cost = (capacity: number) => {
      const map = new BoundedMap<string, number>({ capacity })
      for (let i = 0; i < capacity; i++) map.set(`k${i}`, i)
      const start = performance.now()
      for (let i = 0; i < 20_000; i++) map.set(`l${i}`, i)
      return performance.now() - start
    }
    cost(64)
    const small = Math.min(cost(64), cost(64), cost(64))
    const large = Math.min(cost(65_536), cost(65_536), cost(65_536))
    // A Map's own order makes this factor some hundreds.
    expect(large / small).toBeLessThan(30)
  })
})
