import type { ReadStream } from 'node:tty'
import { CliFailure, EXIT } from './outcome.ts'

/** What is needed of a terminal: `process.stdin` where it is one. */
export type SecretInput = Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>

const MOST_BYTES = 1_024

/** Asks for one line without echo. Backspace, Ctrl-U, Ctrl-C and Ctrl-D do what they do everywhere. */
export function askSecret(
  question: string,
  { input, write }: { readonly input: SecretInput; readonly write: (text: string) => void },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const typed: number[] = []
    const finish = (end: () => void) => {
      input.off('data', onData)
      input.setRawMode(false)
      input.pause()
      write('\n')
      end()
    }
    const onData = (data: Buffer) => {
      for (const byte of data) {
        switch (byte) {
          case 0x0d:
          case 0x0a:
            return finish(() => resolve(Buffer.from(typed).toString('utf8')))
          case 0x03:
          case 0x04:
            return finish(() =>
              reject(new CliFailure(EXIT.failed, 'interrupted', 'interrupted; nothing was changed')),
            )
          case 0x08:
          case 0x7f:
            dropCharacter(typed)
            break
          case 0x15:
            typed.length = 0
            break
          default:
            if (typed.length < MOST_BYTES) typed.push(byte)
        }
      }
    }
    // Before the question: whoever answers at once must not see it echoed.
    input.setRawMode(true)
    write(question)
    input.on('data', onData)
    input.resume()
  })
}

/** Takes the last UTF-8 character off: its continuation bytes, then its first. */
function dropCharacter(typed: number[]): void {
  while (typed.length > 0 && (typed.at(-1)! & 0xc0) === 0x80) typed.pop()
  typed.pop()
}
