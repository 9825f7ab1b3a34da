/** SIGKILL to all of a group on kernels without cgroup.kill (before 5.14, and all of v1). */
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { sendSignal } from '../kernel/process.ffi.ts'
import type { Cgroup } from './cgroup.ts'
import { waitUntil } from './files.ts'

const SIGKILL = 9

/** Frozen processes neither fork nor exit, so the list is complete and no pid of it can belong to someone else. */
function killOnce(group: Cgroup): void {
  try {
    group.freeze()
  } catch (error) {
    // Without a freezer, or when its group is gone already, the rounds repeat until nobody is left; a fork bomb then
    // may win, which the caller sees.
    if (!(error instanceof EngineError) && !isErrno(error, 'ENOENT')) throw error
  }
  try {
    for (const pid of group.processes()) {
      try {
        sendSignal(pid, SIGKILL)
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error
      }
    }
  } finally {
    if (group.directories.freezer !== undefined || group.version === 2) thaw(group)
  }
}

function thaw(group: Cgroup): void {
  try {
    group.thaw()
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

export function killAll(group: Cgroup, timeout: number, meanwhile: () => void = () => undefined): void {
  const end = performance.now() + timeout
  for (;;) {
    if (group.processes().length === 0) return
    killOnce(group)
    const gone = (): boolean => {
      meanwhile()
      return group.processes().length === 0
    }
    if (waitUntil(gone, Math.min(100, Math.max(0, end - performance.now())))) return
    if (performance.now() >= end) throw notGone(group, timeout)
  }
}

export const notGone = (group: Cgroup, timeout: number): EngineError =>
  new EngineError(
    'internal',
    `killing the processes of ${group.path}: ${group.processes().join(', ')} are still there after ${timeout} ms`,
  )
