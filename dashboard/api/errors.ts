import type { FastifyError, FastifyRequest } from 'fastify'
import { OrderRefused } from './control-plane.ts'

export type ErrorCode =
  | 'bad-input'
  | 'bad-config'
  | 'unauthorised'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'too-many'
  | 'unavailable'
  | 'internal'

/** What every refused request is answered with. The message is one sentence for a person; of a bad configuration a line a problem. */
export interface ErrorAnswer {
  readonly error: ErrorCode
  readonly message: string
}

/** The door itself refuses: before any order reaches the control plane. */
export class DoorRefused extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string) {
    super(message)
    this.name = 'DoorRefused'
    this.code = code
  }
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  'bad-input': 400,
  'bad-config': 422,
  unauthorised: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-many': 429,
  unavailable: 503,
  internal: 500,
}

/** The HTTP status and body for whatever was thrown. Only `internal` hides its cause, which belongs in the log. */
export function answerOf(
  error: unknown,
  request: FastifyRequest,
): { status: number; body: ErrorAnswer; unexpected: boolean } {
  if (error instanceof OrderRefused || error instanceof DoorRefused) {
    return answer(error.code, error.message)
  }
  const raised = error as Partial<FastifyError>
  if (raised.validation) return answer('bad-input', describeInvalid(raised.validation, request))
  switch (raised.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return answer('bad-input', 'The body is too large for this order.', 413)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return answer('bad-input', 'Send the body as JSON with the header content-type: application/json.', 415)
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return answer('bad-input', `The body is not JSON${exampleOf(request)}.`)
  }
  const status = raised.statusCode
  if (status !== undefined && status >= 400 && status < 500) {
    return answer('bad-input', raised.message ?? 'The request cannot be understood.', status)
  }
  return {
    ...answer('internal', 'Ringfence failed while doing that; its log says why. Nothing may have changed.'),
    unexpected: true,
  }
}

/** Quotes what somebody sent, so that nothing in it can act on a terminal or a log line. */
export function quote(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function answer(code: ErrorCode, message: string, status = STATUS[code]) {
  return { status, body: { error: code, message }, unexpected: false }
}

type Invalid = NonNullable<FastifyError['validation']>[number]

function describeInvalid(validation: readonly Invalid[], request: FastifyRequest): string {
  return `${describeFirst(validation[0])}${exampleOf(request)}.`
}

function describeFirst(first: Invalid | undefined): string {
  const params = (first?.params ?? {}) as Readonly<Record<string, unknown>>
  const key = first?.instancePath.slice(1).replaceAll('/', '.') ?? ''
  const name = key === '' ? 'The body' : `"${key}"`
  switch (first?.keyword) {
    case 'required':
      return `"${String(params.missingProperty)}" is missing`
    case 'additionalProperties':
      return `${quote(String(params.additionalProperty))} is not known here`
    case 'type':
      return `${name} must be ${withArticle(String(params.type))}`
    case 'minLength':
      return `${name} must not be empty`
    case 'maxLength':
      return `${name} must not be longer than ${String(params.limit)} characters`
    case 'minimum':
      return `${name} must be at least ${String(params.limit)}`
    case 'maximum':
      return `${name} must be at most ${String(params.limit)}`
    case 'pattern':
      return `${name} must not hold control characters`
    default:
      return `${name} cannot be understood`
  }
}

function withArticle(type: string): string {
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`
}

function exampleOf(request: FastifyRequest): string {
  const body = request.routeOptions.schema?.body as { examples?: readonly unknown[] } | undefined
  const example = body?.examples?.[0]
  return example === undefined ? '' : `; send for example ${JSON.stringify(example)}`
}
