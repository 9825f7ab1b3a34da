/** `start`: lets the program of a created container go. */
import { EngineError } from '../../base/errors.ts'
import { close } from '../../kernel/descriptors.ffi.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { pidfdOpen } from '../../kernel/process.ffi.ts'
import { signalNumbers } from '../../kernel/signals.table.ts'
import { startProcess } from '../create.ts'
import { runHooks, stateOf } from '../hooks.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import { signalFirst } from './kill-container.ts'
import { NotifySocket } from './notify-socket.ts'

const refusals = {
  stopped: 'cannot start a container that has stopped',
  running: 'cannot start an already running container',
  paused: 'cannot start a container in the paused state',
} as const

export function startVerb(containers: Containers, flags: ParsedFlags): number {
  const { record, status } = containers.find(flags.args[0])
  if (status !== 'created') throw new EngineError('conflict', refusals[status])
  const warn = (sentence: string): void => containers.log.warn(sentence)
  using cleanup = new DisposableStack()
  const notify = NotifySocket.open(containers, record.id)
  if (notify !== undefined) cleanup.use(notify)
  const pidfd = cleanup.adopt(pidfdOpen(record.pid), close)
  startProcess(
    { pid: record.pid, pidfd, sync: enterGate(containers, record.id) },
    { id: record.id, bundle: record.bundle, spec: record.spec, status: 'creating', warn },
  )
  containers.store.closeGate(record.id)
  const state = { ...stateOf(record), status: 'running' as const, pid: record.pid }
  try {
    runHooks('poststart', record.spec.hooks, state, { directory: record.bundle })
  } catch (error) {
    signalFirst(record, signalNumbers.SIGKILL)
    throw error
  }
  notify?.untilReady({ pid: record.pid, pidfd })
  return 0
}

function enterGate(containers: Containers, id: string): number {
  try {
    return containers.store.enterGate(id)
  } catch (error) {
    if (isErrno(error, 'ECONNREFUSED', 'ENOENT')) throw new EngineError('conflict', refusals.running, { cause: error })
    throw error
  }
}
