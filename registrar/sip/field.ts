/** Why the value of one header field cannot be used. */
export type FieldFault =
  | 'missing-header'
  | 'header-too-long'
  | 'uri-too-long'
  | 'bad-uri'
  | 'bad-address'
  | 'bad-via'
  | 'bad-cseq'
  | 'bad-expires'
  | 'bad-authorization'
  | 'duplicate-parameter'
  | 'too-many-parameters'
  | 'too-many-values'

/** What a field reader makes of a header value. An absent header (`undefined`) is the fault `missing-header`. */
export type Field<T> = { readonly ok: true; readonly value: T } | FieldFailure

export interface FieldFailure {
  readonly ok: false
  readonly fault: FieldFault
}

/** Parameters by lower-case name; one without a value has ''. Quoted values are here without quotes and escapes. */
export type Parameters = ReadonlyMap<string, string>

export function good<T>(value: T): Field<T> {
  return { ok: true, value }
}

export function bad(fault: FieldFault): FieldFailure {
  return { ok: false, fault }
}
