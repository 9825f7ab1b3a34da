/** What an error is on the wire: kind → status, and Docker's error body. */
import { EngineError, type ErrorKind, messageOf } from '../base/errors.ts'

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

/** What was thrown, as status and sentence; anything that is no EngineError is a 500. */
export const wireError = (error: unknown): WireError => ({
  status: error instanceof EngineError ? statusOf[error.kind] : 500,
  message: messageOf(error),
})

/** Docker's error document. Clients compare its content type literally, so it never carries a charset. */
export const errorBody = (message: string): string => `${JSON.stringify({ message })}\n`
