import { Type } from 'typebox'

/*
 * The bodies of orders. The first example of each is shown in the answer to a wrong one. What an address is, is
 * not said here but in target.ts, since a schema's error could not say how to write it.
 */

// Line breaks and terminal or direction controls have no business in text that is shown in tables and logs.
const PLAIN_TEXT = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$'

const Target = Type.String({ minLength: 1, maxLength: 100 })
const Reason = Type.String({ maxLength: 200, pattern: PLAIN_TEXT })
const strict = { additionalProperties: false }

const TEN_YEARS = 315_360_000

export const BlockBody = Type.Object(
  {
    target: Target,
    seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: TEN_YEARS })),
    reason: Type.Optional(Reason),
  },
  { ...strict, examples: [{ target: '203.0.113.7', seconds: 600, reason: 'guesses passwords' }] },
)

export const TargetBody = Type.Object(
  { target: Target },
  { ...strict, examples: [{ target: '203.0.113.7' }] },
)

export const AllowBody = Type.Object(
  { target: Target, reason: Type.Optional(Reason) },
  { ...strict, examples: [{ target: '198.51.100.0/24', reason: 'our trunk' }] },
)

export const EnforceBody = Type.Object(
  { enforced: Type.Boolean() },
  { ...strict, examples: [{ enforced: true }] },
)

export const AccountBody = Type.Object(
  {
    aor: Type.String({ minLength: 1, maxLength: 200, pattern: PLAIN_TEXT }),
    password: Type.String({ minLength: 1, maxLength: 200 }),
  },
  { ...strict, examples: [{ aor: '1001', password: 'a long secret' }] },
)

export const LoginBody = Type.Object(
  { password: Type.String({ minLength: 1, maxLength: 1024 }) },
  { ...strict, examples: [{ password: 'the one in the password file' }] },
)

export const AddressParams = Type.Object({ address: Type.String({ minLength: 1, maxLength: 100 }) })
export const AorParams = Type.Object({ aor: Type.String({ minLength: 1, maxLength: 200 }) })
