/** An account in the list of those that hold as many entries, the one that was busy longest ago first. */
interface Holder<E> {
  readonly account: string
  /** Oldest first. */
  readonly entries: E[]
  older: Holder<E> | undefined
  newer: Holder<E> | undefined
}

interface Level<E> {
  oldest: Holder<E> | undefined
  newest: Holder<E> | undefined
}

const NOTHING: readonly never[] = []

/**
 * Who holds how many of the entries of a bounded table. An account has at most `each`, of which its own oldest goes
 * first; where the table as a whole is full, the oldest entry of whoever holds most goes, so that an account with many
 * never pushes out one with few.
 */
export class Shares<E> {
  /** Entries that had to go because their account had too many, and because there were too many in all. */
  letGoOfAccount = 0
  letGoOfAll = 0
  #each: number
  #total: number
  #size = 0
  readonly #holders = new Map<string, Holder<E>>()
  /** Holders by how many entries they hold; the last level is that of who holds most. */
  readonly #levels: Level<E>[] = []

  constructor({ each, total }: { readonly each: number; readonly total: number }) {
    this.#each = each
    this.#total = total
  }

  /** Oldest first. */
  of(account: string): readonly E[] {
    return this.#holders.get(account)?.entries ?? NOTHING
  }

  /** Puts an entry in, or makes it the newest of its account. Gives what has to go for it. */
  put(account: string, entry: E): readonly E[] {
    let holder = this.#holders.get(account)
    if (!holder) {
      holder = { account, entries: [], older: undefined, newer: undefined }
      this.#holders.set(account, holder)
    }
    const { entries } = holder
    const at = entries.lastIndexOf(entry)
    this.#unlink(holder)
    if (at < 0) this.#size++
    else entries.splice(at, 1)
    entries.push(entry)
    this.#link(holder)
    return entries.length > this.#each || this.#size > this.#total ? this.#trim(holder) : NOTHING
  }

  remove(account: string, entry: E): void {
    const holder = this.#holders.get(account)
    const at = holder?.entries.indexOf(entry) ?? -1
    if (holder && at >= 0) this.#take(holder, at)
  }

  /** Other bounds; gives what has to go. */
  resize({ each, total }: { readonly each: number; readonly total: number }): readonly E[] {
    this.#each = each
    this.#total = total
    return [...this.#holders.values()].flatMap((holder) => this.#trim(holder))
  }

  #trim(holder: Holder<E>): E[] {
    const gone: E[] = []
    while (holder.entries.length > this.#each) {
      gone.push(this.#take(holder, 0))
      this.letGoOfAccount++
    }
    while (this.#size > this.#total) {
      gone.push(this.#take(this.#levels.at(-1)!.oldest!, 0))
      this.letGoOfAll++
    }
    return gone
  }

  #take(holder: Holder<E>, at: number): E {
    this.#unlink(holder)
    const [entry] = holder.entries.splice(at, 1)
    this.#size--
    if (holder.entries.length === 0) this.#holders.delete(holder.account)
    else this.#link(holder)
    while (this.#levels.length > 0 && !this.#levels.at(-1)!.oldest) this.#levels.pop()
    return entry!
  }

  #link(holder: Holder<E>): void {
    const count = holder.entries.length
    while (this.#levels.length < count) this.#levels.push({ oldest: undefined, newest: undefined })
    const level = this.#levels[count - 1]!
    holder.older = level.newest
    holder.newer = undefined
    if (level.newest) level.newest.newer = holder
    else level.oldest = holder
    level.newest = holder
  }

  /** Nothing, for a holder that holds nothing yet. */
  #unlink(holder: Holder<E>): void {
    const level = this.#levels[holder.entries.length - 1]
    if (!level) return
    if (holder.older) holder.older.newer = holder.newer
    else level.oldest = holder.newer
    if (holder.newer) holder.newer.older = holder.older
    else level.newest = holder.older
    holder.older = undefined
    holder.newer = undefined
  }
}
