/** What the daemon and a thread that unpacks say to each other: no bytes of layers, those go by descriptor. */
import { EngineError, type ErrorKind } from '../base/errors.ts'
import type { Unpacked } from './unpack.ts'

export type UnpackJob = {
  /** Open at its beginning; stays the daemon's. */
  blob: number
  /** Of the staged layer. */
  directory: string
  maxBytes: number
  maxEntries: number
}

export type UnpackAnswer = { read: number } | { unpacked: Unpacked } | { failure: PlainError }

/** An error as a message can carry it: structured clones lose the class, and all fields but a few. */
export type PlainError = {
  name: string
  message: string
  stack?: string | undefined
  kind?: ErrorKind
  code?: string
  cause?: PlainError
}

export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    ...(error instanceof EngineError && { kind: error.kind }),
    ...('code' in error && { code: String(error.code) }),
    ...(error.cause !== undefined && { cause: plainError(error.cause) }),
  }
}

/** The same to whoever asks for its kind, its code or its cause. */
export function errorOf({ name, message, stack, kind, code, cause }: PlainError): Error {
  const options = cause === undefined ? {} : { cause: errorOf(cause) }
  const error = kind === undefined ? new Error(message, options) : new EngineError(kind, message, options)
  return Object.assign(error, kind === undefined && { name }, stack && { stack }, code && { code })
}
