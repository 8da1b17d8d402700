import { readFileSync } from 'node:fs'
import type { Config } from '../config/config.ts'

/**
 * A warning where protected interfaces are not on the host: nothing is judged there, and no rule says so. It is no
 * refusal, since a virtual interface may come later. `present`: undefined where nobody knows.
 */
export function warnOfAbsentInterfaces(
  { protect }: Pick<Config, 'protect'>,
  present: readonly string[] | undefined,
): readonly string[] {
  if (present === undefined) return []
  const absent = protect.interfaces.filter((name) => !present.includes(name))
  if (absent.length === 0) return []
  const names = absent.length === 1 ? `interface ${absent[0]}` : `interfaces ${absent.join(', ')}`
  const others = protect.interfaces.filter((name) => !absent.includes(name))
  const elsewhere = others.length === 0 ? 'elsewhere' : `other than on ${others.join(', ')}`
  const is = absent.length === 1 ? 'is no' : 'are no'
  return [`there ${is} ${names}: nothing that comes in ${elsewhere} is judged`]
}

/** The names of this host's network interfaces (of this namespace), up or not; undefined where they cannot be read. */
export function hostInterfaces(): readonly string[] | undefined {
  try {
    return readFileSync('/proc/net/dev', 'utf8')
      .split('\n')
      .flatMap((line) => /^\s*([^\s:][^:]*):/.exec(line)?.[1] ?? [])
  } catch {
    return undefined
  }
}
