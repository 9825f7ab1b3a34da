/**
 * The container was made, and its program could not be executed: callers of runc read this as the words of the container
 * itself, on standard error and without the form of a log line.
 */
import { EngineError } from '../../base/errors.ts'

export class NotExecuted extends EngineError {
  constructor(message: string, options?: ErrorOptions) {
    super('invalid', message, options)
  }
}
