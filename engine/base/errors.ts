/**
 * What can go wrong, in the words of the caller. Each kind is one HTTP status of the Docker Engine API
 * (engine/api/errors.ts holds the table); a layer below the API picks the kind and never the number.
 */
export type ErrorKind =
  | 'invalid'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'not-modified'
  | 'unavailable'
  | 'not-implemented'
  | 'internal'

/** An expected failure, with a sentence fit for the user: what was tried, on what, why it failed. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly kind: ErrorKind

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

export const isKind = (error: unknown, kind: ErrorKind): error is EngineError =>
  error instanceof EngineError && error.kind === kind

/** The text of any thrown value: what `catch` gives is `unknown`. Of a failure that could not be undone, both. */
export const messageOf = (error: unknown): string =>
  error instanceof SuppressedError
    ? `${messageOf(error.suppressed)}; and undoing it: ${messageOf(error.error)}`
    : error instanceof Error
      ? error.message
      : String(error)
