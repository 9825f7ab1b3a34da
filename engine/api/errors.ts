/** What an error is on the wire: kind → status, and Docker's error body. */
import { EngineError, type ErrorKind, messageOf } from '../base/errors.ts'
import { isNoSpace } from '../base/no-space.ts'

const statusOf: Record<ErrorKind, number> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'not-modified': 304,
  unavailable: 503,
  'not-implemented': 501,
  internal: 500,
}

export type WireError = { status: number; message: string }

export const invalid = (message: string, cause?: unknown): EngineError => new EngineError('invalid', message, { cause })

/** What was thrown, as status and sentence; anything that is no EngineError is a 500, but for a full disk. */
export function wireError(error: unknown): WireError {
  // The failure itself, not what failed in cleaning up after it.
  if (error instanceof SuppressedError) return wireError(error.suppressed)
  if (error instanceof EngineError) return { status: statusOf[error.kind], message: error.message }
  const message = messageOf(error)
  if (isNoSpace(error)) return { status: statusOf.unavailable, message: `no space left on the disk: ${message}` }
  return { status: 500, message }
}

/** Docker's error document. Clients compare its content type literally, so it never carries a charset. */
export const errorBody = (message: string): string => `${JSON.stringify({ message })}\n`
