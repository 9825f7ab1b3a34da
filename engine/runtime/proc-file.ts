/**
 * Writing to the container's /proc: what a path there means is checked first. Had an image or a volume put something else in its
 * place, a label or a setting would be written into the void, and the container go on without it (CVE-2025-52881).
 */
import { closeSync, writeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { fileSystemType, fileSystemTypes, openAt, openFlags, openPath, resolveFlags } from '../kernel/paths.ffi.ts'

/** No link, and nothing that is mounted over a part of it. */
const strictly =
  resolveFlags.RESOLVE_BENEATH |
  resolveFlags.RESOLVE_NO_XDEV |
  resolveFlags.RESOLVE_NO_SYMLINKS |
  resolveFlags.RESOLVE_NO_MAGICLINKS

/** One write, as the kernel's files want it. `path` counts from /proc; `self` is a link, so a process is named by its number. */
export function writeProcFile(path: string, value: string): void {
  using cleanup = new DisposableStack()
  const proc = cleanup.adopt(openPath('/proc'), closeSync)
  if (fileSystemType(proc) !== fileSystemTypes.proc) throw notProc('/proc')
  try {
    writeSync(cleanup.adopt(openAt(proc, path, { flags: openFlags.O_WRONLY, resolve: strictly }), closeSync), value)
  } catch (error) {
    throw isErrno(error, 'EXDEV', 'ELOOP') ? notProc(`/proc/${path}`) : error
  }
}

const notProc = (path: string): EngineError =>
  new EngineError('forbidden', `${path} of the container is not the kernel's own`)
