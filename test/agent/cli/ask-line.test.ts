import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { askLine } from '../../../agent/cli/ask-line.ts'

async function ask(answer: (input: PassThrough) => void, within = 5_000) {
  const input = new PassThrough()
  const output = new PassThrough()
  const asked = askLine('Keep it? ', { within, input, output })
  answer(input)
  return { answer: await asked, shown: String(output.read()) }
}

test.each([
  { what: 'a line', act: (input: PassThrough) => input.write('yes\n'), answer: 'yes' },
  { what: 'the end of the input', act: (input: PassThrough) => input.end(), answer: '' },
  { what: 'a line that was not ended', act: (input: PassThrough) => input.end('yes'), answer: '' },
])('$what', async ({ act, answer }) => {
  expect(await ask(act)).toEqual({ answer, shown: expect.stringMatching(/^Keep it\? /) })
})

test('nobody answers in time', async () => {
  expect(await ask(() => {}, 30)).toEqual({ answer: undefined, shown: 'Keep it? \n' })
})
