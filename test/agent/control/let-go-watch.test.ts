import { expect, it } from 'vitest'
import { LetGoWatch } from '../../../agent/control/let-go-watch.ts'

const NONE = { provenOfAccount: 0, provenOfAll: 0, returning: 0, answered: 0, ignoring: 0, evidence: 0 }

it('says of each bound when it was last reached, and nothing of the others', () => {
  const watch = new LetGoWatch()
  watch.saw({ letGo: NONE }, 1_000)
  expect(watch.last).toEqual({})
  watch.saw({ letGo: { ...NONE, answered: 5, evidence: 1 } }, 2_000)
  watch.saw({ letGo: { ...NONE, answered: 9, evidence: 1 } }, 3_000)
  watch.saw({ letGo: { ...NONE, answered: 9, evidence: 1 } }, 4_000)
  expect(watch.last).toEqual({ answered: 3_000, evidence: 2_000 })
})
