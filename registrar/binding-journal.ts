import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { type Binding, type BindingChange, type BindingStore, keyOfBinding } from './binding.ts'

/**
 * Binding changes as lines of JSON behind one another: the last line of a contact holds. `append` only keeps a line;
 * `flush` writes what has gathered in one go, so that a killed process loses what came since the last flush and
 * nothing else. When most lines have been overtaken the journal is written anew.
 */
export class BindingJournal implements BindingStore {
  readonly #path: string
  #file: number | undefined
  #lines: string[] = []
  #written = 0
  #faults = 0

  constructor(path: string) {
    this.#path = path
  }

  /** Flushes that failed (a full disk); their lines were lost from the journal, not from memory. */
  get faults(): number {
    return this.#faults
  }

  /** Reads the journal and writes it anew without what was overtaken. A line that is cut short is passed over. */
  load(): readonly Binding[] {
    const live = new Map<string, Binding>()
    for (const line of readLines(this.#path)) {
      const entry = readEntry(line)
      if (!entry) continue
      const key = `${entry.binding.user} ${keyOfBinding(entry.binding)}`
      if (entry.change === '-') live.delete(key)
      else live.set(key, entry.binding)
    }
    const bindings = [...live.values()]
    this.rewrite(bindings)
    return bindings
  }

  append(change: BindingChange): void {
    this.#lines.push(`${change.kind === 'removed' ? '-' : '+'}${JSON.stringify(change.binding)}\n`)
  }

  /** Writes what has gathered. `live` yields the bindings that stand, for the time the journal has grown too long. */
  flush(live: { readonly size: number; list(): Iterable<Binding> }): void {
    if (this.#lines.length === 0) return
    const text = this.#lines.join('')
    const count = this.#lines.length
    this.#lines = []
    try {
      if (this.#written + count > 4 * live.size + SHORTEST_REWRITE) {
        this.rewrite(live.list())
      } else {
        this.#file ??= openSync(this.#path, 'a', 0o600)
        // A regular file may take less than it was given only when the disk is full.
        if (writeSync(this.#file, text) < Buffer.byteLength(text)) throw new Error('disk full')
        this.#written += count
      }
    } catch {
      this.#faults++
      this.close()
    }
  }

  /** Puts a journal of just these bindings in the old one's place. */
  rewrite(bindings: Iterable<Binding>): void {
    const fresh = `${this.#path}.new`
    const file = openSync(fresh, 'w', 0o600)
    let count = 0
    try {
      let lines: string[] = []
      for (const binding of bindings) {
        lines.push(`+${JSON.stringify(binding)}\n`)
        count++
        if (lines.length < 1_000) continue
        writeFileSync(file, lines.join(''))
        lines = []
      }
      writeFileSync(file, lines.join(''))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(fresh, this.#path)
    this.close()
    this.#written = count
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

const SHORTEST_REWRITE = 10_000

function* readLines(path: string): IterableIterator<string> {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  // Line by line out of the bytes: the text of a long journal would not fit into one string.
  let start = 0
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    yield bytes.toString('utf8', start, end)
    start = end + 1
  }
}

function readEntry(line: string): { change: '+' | '-'; binding: Binding } | undefined {
  const change = line[0]
  if (change !== '+' && change !== '-') return undefined
  try {
    const binding = JSON.parse(line.slice(1)) as Binding
    return isBinding(binding) ? { change, binding } : undefined
  } catch {
    return undefined
  }
}

function isBinding(value: unknown): value is Binding {
  const { user, contact, expiresAt, callId, source } = (value ?? {}) as Partial<Binding>
  const named = typeof user === 'string' && typeof contact === 'string' && typeof callId === 'string'
  return named && typeof expiresAt === 'number' && typeof source?.port === 'number'
}
