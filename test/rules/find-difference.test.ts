import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findDifference, findDifferenceInParts, itemsOf } from '../../rules/find-difference.ts'

interface Item {
  readonly id: number
}

const items: readonly Item[] = Array.from({ length: 200 }, (_, id) => ({ id }))
const of = (...ids: readonly number[]) => ids.map((id) => items[id]!)
const isSame = (a: Item, b: Item) => a.id === b.id
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

test.each<[string, readonly Item[], readonly Item[], readonly number[], readonly number[]]>([
  ['nothing', of(), of(), [], []],
  ['all of it new', of(), of(1, 2), [], [1, 2]],
  ['all of it gone', of(1, 2), of(), [1, 2], []],
  ['one at the end', of(1, 2), of(1, 2, 3), [], [3]],
  ['one at the start', of(1, 2), of(3, 1, 2), [], [3]],
  ['one in the middle replaced', of(1, 2, 3), of(1, 4, 3), [2], [4]],
  ['both ends', of(1, 2, 3), of(2, 3, 4), [1], [4]],
  [
    'some here and there',
    of(...range(0, 100)),
    of(...range(1, 50), 150, ...range(52, 99), 160),
    [0, 50, 51, 99],
    [150, 160],
  ],
  ['equal ones that are not the same', of(1, 2), [{ id: 1 }, { id: 2 }], [], []],
  ['one in another place', of(1, 2, 3), of(3, 1, 2), [3], [3]],
  ['the same one twice', of(1, 2), of(2, 1, 1), [1], [1, 1]],
])('%s', (_name, before, after, removed, added) => {
  const found = findDifference(before, after, isSame)
  const ids = (some: readonly Item[]) => some.map(({ id }) => id).sort((a, b) => a - b)
  expect([ids(found.removed), ids(found.added)]).toEqual([removed, added])
})

test('what is taken out and put in makes one list of the other, whatever they are', () => {
  const anyList = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 })
  fc.assert(
    fc.property(anyList, anyList, (one, other) => {
      const before = one.map((id) => ({ id }))
      // Most items of a list are those of the list before.
      const known = new Map(before.map((item) => [item.id, item]))
      const after = other.map((id) => known.get(id) ?? { id })
      const { removed, added } = findDifference(before, after, isSame)
      const amounts = (lists: readonly (readonly [readonly Item[], number])[]) => {
        const sums = new Map<number, number>()
        for (const [list, sign] of lists) {
          for (const { id } of list) sums.set(id, (sums.get(id) ?? 0) + sign)
        }
        return [...sums].filter(([, sum]) => sum !== 0).sort(([a], [b]) => a - b)
      }
      expect(
        amounts([
          [before, 1],
          [removed, -1],
          [added, 1],
        ]),
      ).toEqual(amounts([[after, 1]]))
    }),
    { numRuns: 500 },
  )
})

test('lists in parts differ by what is in them: a part that is the same array is not looked into', () => {
  const unread = new Proxy(of(0, 1, 2), {
    get(list, key) {
      if (key === 'length' || key === Symbol.iterator || !Number.isNaN(Number(String(key))))
        throw new Error('this part did not change')
      return Reflect.get(list, key)
    },
  })
  const [four] = of(4)
  const found = findDifferenceInParts<Item>(
    [unread, of(5, 6), four!, of(9)],
    [unread, of(5, 7), of(9, 4), of()],
    isSame,
  )
  expect(found.removed.map(({ id }) => id)).toEqual([6])
  expect(found.added.map(({ id }) => id)).toEqual([7])
})

test('a list in parts has the items of its parts', () => {
  expect(itemsOf<Item>([of(1, 2), ...of(3), of()])).toEqual(of(1, 2, 3))
})
