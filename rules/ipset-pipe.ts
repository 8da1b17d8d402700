import { execa } from 'execa'
import { KernelError, type RefusedLine } from './kernel.ts'
import { commandOf, explainTrouble, PROGRAM_ENVIRONMENT } from './run-program.ts'

/** Lines written at once; between two batches the event loop is free and newer changes may go first. */
const BATCH = 500
const ANSWER_WITHIN = 10_000

/**
 * One `ipset -` kept open: a line costs 17 µs where a spawn costs 4 ms. It has no answers of its own: errors come
 * on stderr in order but do not say which line they are about, and success says nothing. So each batch ends with a
 * line that ipset must refuse, with a number in its words, and where something else was refused before that, the
 * batch goes again line by line. Lines that do not go alone have to be idempotent. Its stdout is block-buffered and never read.
 */
export class IpsetPipe {
  readonly #netns: string | undefined
  #open: OpenIpset | undefined

  constructor(netns: string | undefined) {
    this.#netns = netns
  }

  /** Writes lines and waits until ipset is through with them. Calls must not overlap. */
  async write(lines: readonly string[]): Promise<readonly RefusedLine[]> {
    const refused: RefusedLine[] = []
    for (let start = 0; start < lines.length; start += BATCH) {
      const batch = lines.slice(start, start + BATCH)
      const words = await this.#exchange(batch)
      if (words === '') continue
      if (batch.length === 1) {
        refused.push({ line: batch[0]!, message: words })
        continue
      }
      await this.close()
      for (const line of batch) {
        const message = await this.#exchange([line])
        if (message === '') continue
        refused.push({ line, message })
        if (!message.includes('Hash is full')) await this.close()
      }
    }
    // Most refusals leave an ipset behind that answers later lines wrongly.
    if (refused.length > 0) await this.close()
    return refused
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.end()
  }

  #exchange(lines: readonly string[]): Promise<string> {
    if (!this.#open?.isAlive) this.#open = new OpenIpset(this.#netns)
    return this.#open.exchange(lines)
  }
}

/** Ten digits: more than any timeout that ipset takes, so that it refuses the line and repeats the number. */
const FIRST_MARK = 9_000_000_000

class OpenIpset {
  isAlive = true
  readonly #child: ReturnType<typeof start>
  #mark = FIRST_MARK
  #stderr = ''
  #waiting:
    | { resolve: (words: string) => void; reject: (error: KernelError) => void; mark: number }
    | undefined

  constructor(netns: string | undefined) {
    this.#child = start(netns)
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#child.stdin.on('error', () => {})
    this.#child.then((result) => {
      this.#die(result.code === 'ENOENT' ? 'No such file or directory' : this.#stderr)
    })
  }

  exchange(lines: readonly string[]): Promise<string> {
    const mark = ++this.#mark
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#child.kill('SIGKILL')
        this.#die('it did not answer in time')
      }, ANSWER_WITHIN)
      this.#waiting = {
        mark,
        resolve: (words) => {
          clearTimeout(timer)
          resolve(words)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.#child.stdin.write(`${lines.join('\n')}\ncreate rf-mark hash:net timeout ${mark}\n`)
    })
  }

  async end(): Promise<void> {
    if (!this.isAlive) return
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 1_000)
    await this.#child
    clearTimeout(timer)
  }

  #read(text: string): void {
    this.#stderr += text
    if (!this.#waiting) return
    // Without permission ipset says so at every line, also at the mark.
    if (explainTrouble('ipset', this.#stderr)) {
      this.#child.kill('SIGKILL')
      this.#die(this.#stderr)
      return
    }
    const at = this.#stderr.indexOf(`'${this.#waiting.mark}'`)
    const end = at < 0 ? -1 : this.#stderr.indexOf('\n', at)
    if (end < 0) return
    const before = this.#stderr.slice(0, this.#stderr.lastIndexOf('\n', at) + 1)
    this.#stderr = this.#stderr.slice(end + 1)
    const { resolve } = this.#waiting
    this.#waiting = undefined
    resolve(before.replaceAll(/^ipset v\S+: /gm, '').trim())
  }

  #die(words: string): void {
    this.isAlive = false
    const waiting = this.#waiting
    this.#waiting = undefined
    const error =
      explainTrouble('ipset', words.trim()) ??
      new KernelError('no-answer', `ipset ended: ${words.trim().slice(0, 200) || 'without a word'}.`)
    waiting?.reject(error)
  }
}

/** No timeout of its own: it lives as long as the daemon, and ends with its stdin. */
function start(netns: string | undefined) {
  const [file, args] = commandOf({ program: 'ipset', arguments: ['-'], netns })
  return execa(file, args, {
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    env: PROGRAM_ENVIRONMENT,
    extendEnv: false,
  })
}
