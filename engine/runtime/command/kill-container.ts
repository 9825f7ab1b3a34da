/** `kill`: a signal to the container's first process. */
import { EngineError } from '../../base/errors.ts'
import { close } from '../../kernel/descriptors.ffi.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { pidfdOpen, pidfdSendSignal } from '../../kernel/process.ffi.ts'
import { parseSignal, signalNumbers } from '../../kernel/signals.table.ts'
import type { OciSpec } from '../../spec/oci.ts'
import { isAlive } from './container-status.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import type { ContainerRecord } from './state-store.ts'

const notRunning = 'container not running'
export const saysNotRunning = (error: unknown): boolean => error instanceof EngineError && error.message === notRunning
/** Milliseconds that the processes of a container may take to die. */
const killPatience = 10_000

/** Through a pidfd, and only after a look at who it is: a number that was given to another process is not hit. */
export function signalFirst(record: ContainerRecord, signal: number): void {
  let pidfd: number
  try {
    pidfd = pidfdOpen(record.pid)
  } catch (error) {
    if (isErrno(error, 'ESRCH')) throw new EngineError('conflict', notRunning, { cause: error })
    throw error
  }
  try {
    if (!isAlive(record)) throw new EngineError('conflict', notRunning)
    pidfdSendSignal(pidfd, signal)
  } catch (error) {
    if (isErrno(error, 'ESRCH')) throw new EngineError('conflict', notRunning, { cause: error })
    throw error
  } finally {
    close(pidfd)
  }
}

const ownPidNamespace = (spec: OciSpec): boolean =>
  spec.linux?.namespaces?.some(({ type, path }) => type === 'pid' && (path ?? '') === '') === true

export function killVerb(containers: Containers, flags: ParsedFlags): number {
  const { record, cgroup, status } = containers.find(flags.args[0])
  const signal = signalOf(flags.args[1] ?? 'SIGTERM')
  try {
    // Without a PID namespace of its own the rest does not go with the first process.
    if (signal === signalNumbers.SIGKILL && record.cgroup.kind !== 'none' && !ownPidNamespace(record.spec))
      killEverybody(cgroup.processes().length > 0, () => cgroup.kill(killPatience))
    else {
      if (status === 'stopped') throw new EngineError('conflict', notRunning)
      signalFirst(record, signal)
      // A frozen process dies only once it is thawed; v1's freezer holds back even SIGKILL.
      if (signal === signalNumbers.SIGKILL && status === 'paused') cgroup.thaw()
    }
  } catch (error) {
    if (!(flags.is('all') && saysNotRunning(error))) throw error
  }
  return 0
}

function killEverybody(anybody: boolean, kill: () => void): void {
  if (!anybody) throw new EngineError('conflict', notRunning)
  kill()
}

/** 0 asks whether the process could be signalled at all; kill(2). */
function signalOf(text: string): number {
  const signal = text === '0' ? 0 : parseSignal(text)
  if (signal === undefined) throw new EngineError('invalid', `unknown signal ${JSON.stringify(text)}`)
  return signal
}
