import type { Answer } from './digest-headers.ts'
import { ownCopy, ownKey } from './own-copy.ts'

const LONGEST_FIELD = 256

/** What is kept of one header of credentials. */
export interface Credentials {
  /** As `ownKey` makes it. */
  readonly nonce: string
  readonly username: string
  readonly realm: string
}

export function keptOf(answers: readonly Answer[]): readonly Credentials[] {
  return answers.map(({ nonce, username, realm }) => ({
    nonce: ownKey(nonce),
    username: ownCopy(username, LONGEST_FIELD),
    realm: ownCopy(realm, LONGEST_FIELD),
  }))
}

/**
 * Which of a request's credentials the softswitch judged: those of the realm that it asks for in its answer (RFC 3261
 * section 22.2). A guesser who puts others before his guess, with a nonce that once was good, must not be taken for
 * somebody whose nonce went stale. All of them where none is of that realm, or the answer names none: some softswitches
 * do not look at the realm.
 */
export function judgedBy(
  credentials: readonly Credentials[],
  asked: readonly { readonly realm: string }[],
): readonly Credentials[] {
  if (credentials.length < 2 || asked.length === 0) return credentials
  const ofRealm = credentials.filter(({ realm }) => asked.some((challenge) => challenge.realm === realm))
  return ofRealm.length > 0 ? ofRealm : credentials
}

/** Whether all of them are one user's: else nobody knows whose the softswitch accepted. */
export function areOfOne(credentials: readonly Credentials[]): boolean {
  return credentials.every(({ username }) => username === credentials[0]!.username)
}
