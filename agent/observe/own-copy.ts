import { createHash } from 'node:crypto'

/**
 * The beginning of a text from the wire, as a string of its own: a slice of a message keeps the whole message in memory
 * for as long as it lives.
 */
export function ownCopy(text: string, longest: number): string {
  return Buffer.from(text.slice(0, longest), 'utf8').toString('utf8')
}

/** A short string of its own that tells a text from others: a copy, or the hash of what is longer than most are. */
export function ownKey(text: string): string {
  return text.length <= LONGEST_KEY
    ? ownCopy(text, LONGEST_KEY)
    : `sha256 ${createHash('sha256').update(text, 'utf8').digest('base64')}`
}

const LONGEST_KEY = 128
