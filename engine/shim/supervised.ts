/** A process that a shim supervises, the first of its container or an exec's, and what is left when the first has ended. */
import { EngineError } from '../base/errors.ts'
import type { Cgroup } from '../cgroup/cgroup.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { pidfdSendSignal } from '../kernel/process.ffi.ts'
import type { SupervisedProcess } from '../runtime/create.ts'
import type { ProcessIo } from './process-io.ts'
import type { ProcessExit } from './shim.ts'

export type Supervised<Process = Pick<SupervisedProcess, 'pid' | 'pidfd'>> = {
  io: ProcessIo
  process?: Process
  exit?: ProcessExit
  /** Its end is known, what it wrote may still be on its way: its pid and descriptor are nobody's, or another's. */
  reaped?: true
  started: boolean
  timedOut?: boolean
}

/** not-found where it has ended. */
export function signalProcess({ process, reaped }: Supervised, signal: number): void {
  if (process === undefined || reaped) throw new EngineError('not-found', 'process already finished')
  try {
    pidfdSendSignal(process.pidfd, signal)
  } catch (error) {
    if (isErrno(error, 'ESRCH')) throw new EngineError('not-found', 'process already finished', { cause: error })
    throw error
  }
}

/** How long what is left of a container may take to die; milliseconds. */
export const killPatience = 10_000

/** Kills what is left in the group and removes it; whether the kernel killed for want of memory. */
export function endGroup(cgroup: Cgroup): boolean {
  let oomKilled = false
  try {
    oomKilled = cgroup.oomKills() > 0
  } catch {
    // The group may be gone, or its memory controller absent: then nobody was killed for memory.
  }
  if (cgroup.processes().length > 0) cgroup.kill(killPatience)
  cgroup.remove()
  return oomKilled
}
