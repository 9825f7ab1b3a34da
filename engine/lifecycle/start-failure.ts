/** What a failed start is called, and the exit code that goes with it; wire fact 45. */
import { EngineError, messageOf } from '../base/errors.ts'
import { isNoSpace, noSpace } from '../base/no-space.ts'
import { failedNetworking } from './network-setup.ts'

/** The text decides the exit code of `docker run`: 127 not found, 126 not executable, 125 the rest. */
export function startFailure(error: unknown): { exitCode: number; error: EngineError } {
  const message = messageOf(error)
  if (error instanceof EngineError)
    if (error.kind === 'not-found' || error.kind === 'forbidden' || message.startsWith(failedNetworking))
      return { exitCode: 128, error }
  const failed = (text: string): string => `failed to create task for container: ${text}`
  if (/executable file not found|no such file or directory|ENOENT/i.test(message))
    return {
      exitCode: 127,
      error: new EngineError('invalid', failed(message), { cause: error }),
    }
  if (/is a directory/i.test(message) && !/permission denied/i.test(message))
    return {
      exitCode: 126,
      error: new EngineError('invalid', failed(`${message}: permission denied`), { cause: error }),
    }
  if (/permission denied/i.test(message))
    return {
      exitCode: 126,
      error: new EngineError('invalid', failed(message), { cause: error }),
    }
  if (isNoSpace(error)) return { exitCode: 128, error: noSpace(`starting the container: ${message}`, error) }
  const kind = error instanceof EngineError ? error.kind : 'internal'
  return { exitCode: 128, error: new EngineError(kind, failed(message), { cause: error }) }
}
