import { type Address, parseAddress } from '../../registrar/net/address.ts'
import { DOUBTFUL, type LogEvent, OTHER } from './log-event.ts'
import { isDigit } from './scan.ts'

const LONGEST_LINE = 4_000
/** An IPv4 address has 7 to 15 characters. */
const LONGEST_ADDRESS = 15

const REGISTRATION = ['regist', '注册']
const REFUSAL = ['fail', 'reject', 'refus', 'forbid', 'denied', 'deny', 'illegal', 'invalid', 'unauthor']
const REFUSAL_CHINESE = ['失败', '拒绝', '非法', '错误', '禁止']

/**
 * Reads a line of VOS3000's `mbx.log`. Its form is published nowhere that could be found, and differs between
 * versions and languages, so nothing is taken for certain: a line that speaks of a registration and of a refusal (in
 * English or Chinese) and names exactly one IPv4 address is a failure from there. That is enough to tell people and
 * too little to act upon.
 */
export function readVos3000Line(line: string): LogEvent {
  if (line.length > LONGEST_LINE) return OTHER
  const lower = line.toLowerCase()
  const speaksOf = (words: readonly string[]) => words.some((word) => lower.includes(word))
  if (!speaksOf(REGISTRATION) || !(speaksOf(REFUSAL) || speaksOf(REFUSAL_CHINESE))) return OTHER
  const addresses = addressesIn(line)
  const [address] = addresses
  if (!address || addresses.size > 1) return DOUBTFUL
  return { kind: 'failure', account: '', address, port: null, transport: 'unknown', serverPort: null }
}

/** The distinct IPv4 addresses of a line, two at most. */
function addressesIn(line: string): ReadonlySet<Address> {
  const found = new Set<Address>()
  let start = -1
  for (let i = 0; i <= line.length && found.size < 2; i++) {
    const code = i < line.length ? line.charCodeAt(i) : 0
    if (isDigit(code) || code === DOT) {
      if (start < 0) start = i
      continue
    }
    if (start < 0) continue
    // A sentence may end behind an address.
    const end = line.charCodeAt(i - 1) === DOT ? i - 1 : i
    const text = end - start > LONGEST_ADDRESS ? '' : line.slice(start, end)
    const address = text.includes('.') ? parseAddress(text) : undefined
    if (address) found.add(address)
    start = -1
  }
  return found
}

const DOT = 0x2e
