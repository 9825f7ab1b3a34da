/** What failed in a spawner or a shim, as the daemon is told: errors do not cross a socket, kinds and sentences do. */
import { EngineError, type ErrorKind, messageOf } from '../base/errors.ts'
import { isNoSpace, noSpace } from '../base/no-space.ts'

export type Failure = { kind: ErrorKind; message: string }

/** The same on the daemon's side. */
export const errorOf = ({ kind, message }: Failure): EngineError => new EngineError(kind, message)

/** What the daemon says of a shim that cannot be. */
export const notStarted = (reason: unknown): EngineError =>
  new EngineError(
    reason instanceof EngineError ? reason.kind : 'internal',
    `cannot start a supervisor: ${messageOf(reason)}`,
  )

export function failureOf(error: unknown): Failure {
  const message = messageOf(error)
  if (isNoSpace(error))
    return { kind: 'unavailable', message: noSpace(`setting up the container: ${message}`, error).message }
  return { kind: error instanceof EngineError ? error.kind : 'internal', message }
}
