/** A full disk, whoever meets it first: the kernel, Node or SQLite. */
import { EngineError } from './errors.ts'

/** sqlite3.h */
const SQLITE_FULL = 13

/** Also where it is the cause of what was thrown, or was suppressed by what failed after it. */
export function isNoSpace(error: unknown): boolean {
  if (error instanceof SuppressedError) return isNoSpace(error.suppressed) || isNoSpace(error.error)
  if (!(error instanceof Error)) return false
  if ('code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) return true
  if ('errcode' in error && error.errcode === SQLITE_FULL) return true
  return isNoSpace(error.cause)
}

/** `doing` reads on after "while". */
export const noSpace = (doing: string, cause: unknown): EngineError =>
  new EngineError('unavailable', `no space left on the disk while ${doing}`, { cause })
