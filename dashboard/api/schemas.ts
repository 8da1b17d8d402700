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

export const StrictBody = Type.Object(
  { order: Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Literal('auto')]) },
  { ...strict, examples: [{ order: 'auto' }] },
)

/** The text of a configuration is bounded by its route, and read by the configuration's own reader. */
const CandidateText = Type.String()
const CandidateName = Type.String({ minLength: 1, maxLength: 4096, pattern: PLAIN_TEXT })

export const ApplyBody = Type.Object(
  {
    text: CandidateText,
    file: CandidateName,
    confirmWithin: Type.Optional(Type.Integer({ minimum: 10, maximum: 3_600 })),
  },
  { ...strict, examples: [{ text: 'protect: …', file: '/root/new.yaml', confirmWithin: 60 }] },
)

export const PlanBody = Type.Object(
  { candidate: Type.Optional(Type.Object({ text: CandidateText, file: CandidateName }, strict)) },
  { ...strict, examples: [{ candidate: { text: 'protect: …', file: '/root/new.yaml' } }] },
)

export const BacktestBody = Type.Object(
  {
    candidate: Type.Object({ text: CandidateText, file: CandidateName }, strict),
    seconds: Type.Integer({ minimum: 60, maximum: 90 * 86_400 }),
  },
  { ...strict, examples: [{ candidate: { text: 'protect: …', file: '/root/new.yaml' }, seconds: 86_400 }] },
)

export const TraceBody = Type.Object(
  {
    source: Type.String({ minLength: 1, maxLength: 100 }),
    destination: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    protocol: Type.Optional(Type.Union([Type.Literal('udp'), Type.Literal('tcp')])),
    method: Type.Optional(Type.String({ pattern: '^[A-Za-z]{1,20}$' })),
    payload: Type.Optional(Type.String({ maxLength: 88_000, pattern: '^[A-Za-z0-9+/]*={0,2}$' })),
    interface: Type.Optional(Type.String({ minLength: 1, maxLength: 15, pattern: PLAIN_TEXT })),
  },
  { ...strict, examples: [{ source: '203.0.113.7:5060', method: 'REGISTER' }] },
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
