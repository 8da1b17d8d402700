import { parseAddress } from '../../registrar/net/address.ts'
import { ownCopy } from '../observe/own-copy.ts'
import { DOUBTFUL, LONGEST_ACCOUNT, type LogEvent, OTHER } from './log-event.ts'
import { isDigit, isMadeOf, lettersDigitsAnd } from './scan.ts'

const FILE = 'sofia_reg.c:'
const LONGEST_HEAD = 200
const LONGEST_LINE = 4_000
/** Date, load, level, a session's UUID, and what syslog puts before them. */
const isOfHead = lettersDigitsAnd(' :.+-_%[]')

const FORMS = [
  { begins: 'SIP auth failure (', from: '] from ip ', kind: 'failure' },
  { begins: 'SIP auth challenge (', from: '] from ip ', kind: 'challenge' },
  { begins: "Can't find user [", from: '] from ', kind: 'unknown-account' },
] as const

/**
 * Reads a line of FreeSWITCH's log, as sofia_reg.c writes it where a profile has `log-auth-failures`:
 *
 *     2026-01-15 10:23:45.123456 [WARNING] sofia_reg.c:1792 SIP auth failure (REGISTER) on sofia profile 'internal'
 *     for [1001@example.org] from ip 198.51.100.7
 *
 * The address stands last, behind everything that a client wrote. The line names neither port nor transport.
 */
export function readFreeswitchLine(line: string): LogEvent {
  const file = line.indexOf(FILE)
  if (file < 0) return OTHER
  const head = line.slice(0, Math.min(file, LONGEST_HEAD + 1))
  if (!head.includes('[WARN') || head.length > LONGEST_HEAD || !isMadeOf(head, isOfHead)) return OTHER
  let at = file + FILE.length
  while (at < line.length && isDigit(line.charCodeAt(at))) at++
  if (line[at] === ']') at++
  if (line[at] !== ' ') return OTHER
  at++
  const form = FORMS.find(({ begins }) => line.startsWith(begins, at))
  if (!form) return OTHER
  if (line.length > LONGEST_LINE) return DOUBTFUL
  const from = line.lastIndexOf(form.from)
  const address = from < 0 ? undefined : parseAddress(line.slice(from + form.from.length).trimEnd())
  const name = line.indexOf('[', at)
  if (!address || name < 0 || name > from) return DOUBTFUL
  return {
    kind: form.kind,
    account: ownCopy(line.slice(name + 1, from), LONGEST_ACCOUNT),
    address,
    port: null,
    transport: 'unknown',
    serverPort: null,
  }
}
