/** Finding the program that a container runs, in the words of Docker's errors (the CLI's exit code depends on them). */
import { accessSync, constants, statSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'

const quoted = (text: string): string => JSON.stringify(text)

type Verdict = 'found' | 'missing' | 'directory' | 'denied'

/** @param override the program keeps CAP_DAC_OVERRIDE, which access(2), asking for the real user, does not count */
function judge(path: string, override: boolean): Verdict {
  try {
    const status = statSync(path)
    if (status.isDirectory()) return 'directory'
    if (override && (status.mode & 0o111) !== 0) return 'found'
    accessSync(path, constants.X_OK)
    return 'found'
  } catch (error) {
    return isErrno(error, 'EACCES', 'EPERM') ? 'denied' : 'missing'
  }
}

/**
 * The path to hand to execve(2), with the container's root entered and its user assumed. A name without a slash is
 * looked for along PATH. `override`: the program keeps CAP_DAC_OVERRIDE. Throws `not-found`-like text (127) or `permission denied` (126), as kind invalid.
 */
export function findExecutable(name: string, environment: readonly string[], override = false): string {
  if (name.includes('/')) return requireExecutable(name, override)
  const path = environment.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? ''
  let denied = false
  for (const directory of path.split(':')) {
    const candidate = `${directory === '' ? '.' : directory}/${name}`
    const verdict = judge(candidate, override)
    if (verdict === 'found') return candidate
    denied ||= verdict === 'denied'
  }
  if (denied) throw new EngineError('invalid', `exec: ${quoted(name)}: permission denied`)
  throw new EngineError('invalid', `exec: ${quoted(name)}: executable file not found in $PATH`)
}

function requireExecutable(path: string, override: boolean): string {
  const verdict = judge(path, override)
  if (verdict === 'missing')
    throw new EngineError('invalid', `exec: ${quoted(path)}: stat ${path}: no such file or directory`)
  if (verdict === 'directory') throw new EngineError('invalid', `exec: ${quoted(path)}: is a directory`)
  if (verdict === 'denied') throw new EngineError('invalid', `exec: ${quoted(path)}: permission denied`)
  return path
}

/** What execve(2) itself refused, after the program was found. */
export function execFailure(path: string, error: unknown): EngineError {
  const why = isErrno(error, 'ENOEXEC')
    ? 'exec format error'
    : isErrno(error, 'EACCES', 'EPERM')
      ? 'permission denied'
      : isErrno(error, 'ENOENT')
        ? 'no such file or directory'
        : error instanceof Error && 'code' in error
          ? String(error.code)
          : String(error)
  return new EngineError('invalid', `exec ${path}: ${why}`, { cause: error })
}
