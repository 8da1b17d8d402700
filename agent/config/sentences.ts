import type { z } from 'zod'
import type { LeafIssue } from './leaves.ts'
import { listed } from './leaves.ts'
import { homesOf, keysAt } from './schema.ts'

/** `policy.flood.within`, `registrar.accounts[0].user`. */
export function sayKey(path: readonly PropertyKey[]): string {
  let key = ''
  for (const part of path) {
    if (typeof part === 'number') key += `[${part}]`
    else key += key === '' ? String(part) : `.${String(part)}`
  }
  return key
}

/**
 * Whether what stands at this path must not be shown. Anything below `registrar.accounts` may be a password that
 * slipped out of its key (`- {user: '1001', secret}` makes a key of it).
 */
function isSecretPlace(path: readonly PropertyKey[]): boolean {
  return path[0] === 'registrar' && path[1] === 'accounts'
}

/** One sentence for one complaint of the schema about `value`. */
export function sayIssue(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'unrecognized_keys':
      return sayUnknownKey(issue.path, issue.keys[0] ?? '')
    case 'custom': {
      const { expected, why, secret } = issue.params as unknown as LeafIssue
      if (value === undefined) return `missing; expected ${expected}`
      const found = showFound(value, { secret: secret || isHiddenValue(issue.path) })
      return `found ${found}${why === null ? '' : ` (${why})`}; expected ${expected}`
    }
    case 'invalid_type': {
      const keys = keysAt(issue.path)
      const expected = keys ? `a mapping with the keys ${listed(keys, 'and')}` : 'a list, for example [a, b]'
      return `found ${showFound(value, { secret: issue.path.length === 0 || isSecretPlace(issue.path) })}; expected ${expected}`
    }
    default:
      return issue.message
  }
}

function isHiddenValue(path: readonly PropertyKey[]): boolean {
  return isSecretPlace(path) && path.at(-1) !== 'user'
}

function sayUnknownKey(path: readonly PropertyKey[], name: string): string {
  const known = keysAt(path) ?? []
  const near = nearest(name, known)
  const shown =
    isSecretPlace(path) && near === undefined ? 'unknown key, not shown here' : `unknown key ${quoted(name)}`
  if (near !== undefined) return `${shown}; did you mean ${quoted(near)}?`
  const homes = isSecretPlace(path) ? [] : homesOf(name)
  const home = homes[0]
  // A key of many sections, as `perSecond`, was more likely meant to be one of this section.
  if (home !== undefined && homes.length < 3) {
    return `${shown} here; it belongs ${home === '' ? 'at the top, without indentation' : `under ${quoted(home)}`}`
  }
  return `${shown}; expected one of ${listed(known, 'or')}`
}

/** The known word that one slip or two would turn into this one; case does not count. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.slice(0, 64).toLowerCase()
  let best: string | undefined
  let bestDistance = Math.min(3, Math.max(1, Math.floor(lower.length / 3))) + 1
  for (const candidate of known) {
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Inserted, missing, changed and swapped neighbouring characters count one each (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(change, previous[j]! + 1, current[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, beforePrevious[j - 2]! + 1)
      }
      current.push(least)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length]!
}

/** What was found, for people: short, on one line, without control characters. */
function showFound(value: unknown, { secret }: { readonly secret: boolean }): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (secret)
    return typeof value === 'string' ? 'other text, not shown here' : `a ${typeof value}, not shown here`
  if (typeof value !== 'string') return String(value)
  return quotedText(value)
}

function quotedText(text: string): string {
  return JSON.stringify(short(text)).replace(/[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?')
}

function quoted(word: string): string {
  return `\`${quotedText(word).slice(1, -1)}\``
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/**
 * A sentence for an error code of the `yaml` package. Its own messages can quote the file, and with it a password,
 * so they are never passed on.
 */
export function sayYamlFault(code: string, rest: string): string {
  switch (code) {
    case 'DUPLICATE_KEY': {
      const name = /^([A-Za-z0-9]{1,40})\s*:/.exec(rest)?.[1]
      const known = name !== undefined && homesOf(name).length > 0
      return `${known ? `the key ${quoted(name)}` : 'this key'} stands twice in one mapping; remove one of the two`
    }
    case 'TAB_AS_INDENT':
      return 'a tab stands where YAML allows only spaces; indent with spaces'
    case 'BAD_INDENT':
      return 'the indentation does not fit the lines above, or a bracket is not closed'
    case 'MISSING_CHAR':
      return "a closing quote, a bracket, a comma, or the space after a ':' or '#' is missing at or before this place"
    case 'MULTIPLE_DOCS':
      return "a second YAML document starts here; remove the line '---'"
    case 'BLOCK_AS_IMPLICIT_KEY':
      return "two keys stand on one line; start a new line, or put a text that holds ': ' in quotes"
    case 'BAD_ALIAS':
    case 'UNKNOWN_ALIAS':
      return "'*' refers to an anchor that does not exist; put a text that starts with '*' in quotes"
    case 'TAG_RESOLVE_FAILED':
      return "'!' starts a YAML tag that is not known here; put a text that starts with '!' in quotes"
    case 'RESOURCE_EXHAUSTION':
      return 'mappings or lists are nested too deeply here'
    case 'BAD_DQ_ESCAPE':
      return "an unknown escape after '\\' in double quotes; use single quotes for a text with backslashes"
    case 'UNEXPECTED_TOKEN':
    case 'IMPOSSIBLE':
    case 'BAD_SCALAR_START':
      return 'cannot be read as YAML from here on; put a text that starts with a special character in quotes'
    default:
      return `is not valid YAML here (${code})`
  }
}
