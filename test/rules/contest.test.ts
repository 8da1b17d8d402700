import { expect, test } from 'vitest'
import { Contest } from '../../rules/contest.ts'

const OPTIONS = { repairs: 3, within: 100, firstPause: 1_000, pause: 1_000, quiet: 2_000 }

function contestAt(options = OPTIONS): { contest: Contest; at: (time: number) => void } {
  let now = 0
  const contest = new Contest(() => now, options)
  return {
    contest,
    at: (time) => {
      now = time
    },
  }
}

test('so many repairs in so long, and then one now and then, until it is quiet', () => {
  const { contest, at } = contestAt()
  const look = (time: number, found: string | null) => {
    at(time)
    return found === null ? contest.sawNothing() : contest.mayRepair(found)
  }
  expect([10, 20, 30].map((time) => look(time, 'a'))).toEqual([true, true, true])
  expect(contest.isOn).toBe(false)
  expect(look(40, 'b')).toBe(false)
  expect(contest.isOn).toBe(true)
  expect(contest.repairs).toEqual({ count: 3, lastAt: 30, last: 'b', contestedUntil: 1_040 })
  expect([look(1_039, 'c'), look(1_040, 'd'), look(1_050, 'e'), look(2_039, 'e')]).toEqual([
    false,
    true,
    false,
    false,
  ])
  expect(look(2_040, 'e')).toBe(true)
  expect(contest.repairs).toEqual({ count: 5, lastAt: 2_040, last: 'e', contestedUntil: 3_040 })
  expect([look(2_050, null), look(4_039, null), look(4_040, null)]).toEqual([false, false, true])
  expect(contest.isOn).toBe(false)
  expect([4_050, 4_060, 4_070, 4_080].map((time) => look(time, 'f'))).toEqual([true, true, true, false])
})

test('repairs that lie apart are no contest', () => {
  const { contest, at } = contestAt()
  for (let time = 0; time < 1_000; time += 40) {
    at(time)
    expect(contest.mayRepair('a')).toBe(true)
  }
})

test('somebody may ask for an attempt at once: one', () => {
  const { contest, at } = contestAt()
  for (let i = 0; i < 4; i++) contest.mayRepair('a')
  at(50)
  contest.tryNow()
  expect([contest.mayRepair('a'), contest.mayRepair('a'), contest.isOn]).toEqual([true, false, true])
})

test('an order ends it, and the next one has its whole budget', () => {
  const { contest, at } = contestAt()
  for (let i = 0; i < 4; i++) contest.mayRepair('a')
  expect(contest.isOn).toBe(true)
  at(50)
  contest.startAnew()
  expect([contest.isOn, contest.repairs]).toEqual([
    false,
    { count: 3, lastAt: 0, last: 'a', contestedUntil: null },
  ])
  expect([1, 2, 3, 4].map(() => contest.mayRepair('b'))).toEqual([true, true, true, false])
})

test('the pauses grow, so that a firewall that is loaded often at the start is answered soon', () => {
  const { contest, at } = contestAt({ ...OPTIONS, firstPause: 100, pause: 350 })
  const attempts: number[] = []
  for (let time = 0; time < 1_500; time += 10) {
    at(time)
    if (contest.mayRepair('a')) attempts.push(time)
  }
  expect(attempts).toEqual([0, 10, 20, 130, 330, 680, 1_030, 1_380])
})
