import { createInterface } from 'node:readline'
import type { Milliseconds } from '../../registrar/net/time.ts'

/**
 * Asks for one line with echo. Gives what was typed; an empty text where the input ended or was broken off by Ctrl-C;
 * undefined where nobody answered in time.
 */
export function askLine(
  question: string,
  {
    within,
    input,
    output,
  }: {
    readonly within: Milliseconds
    readonly input: NodeJS.ReadableStream
    readonly output: NodeJS.WritableStream
  },
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const lines = createInterface({ input, output })
    const finish = (answer: string | undefined) => {
      clearTimeout(timer)
      lines.removeAllListeners()
      lines.close()
      resolve(answer)
    }
    const timer = setTimeout(() => {
      output.write('\n')
      finish(undefined)
    }, within)
    lines.once('SIGINT', () => {
      output.write('\n')
      finish('')
    })
    lines.once('close', () => finish(''))
    lines.question(question, finish)
  })
}
