/** `delete`, and the end of a foreground `run`: the processes, the control group and the state of a container go. */
import { EngineError } from '../../base/errors.ts'
import { pause } from '../../cgroup/files.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { signalNumbers } from '../../kernel/signals.table.ts'
import { releaseRoot } from '../borrowed-tree.ts'
import { runHooksOnward, stateOf } from '../hooks.ts'
import { isAlive } from './container-status.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import { saysNotRunning, signalFirst } from './kill-container.ts'
import type { ContainerRecord } from './state-store.ts'

/** Milliseconds that the processes of a container may take to die. */
const killPatience = 10_000

/** Of a container whose first process has ended: what it left running is killed. */
export function destroy(containers: Containers, record: ContainerRecord): void {
  const cgroup = containers.group(record.cgroup)
  if (record.cgroup.kind !== 'none') {
    cgroup.kill(killPatience)
    cgroup.remove()
  }
  releaseRoot(record)
  const warn = (sentence: string): void => containers.log.warn(sentence)
  runHooksOnward(
    'poststop',
    record.spec.hooks,
    { ...stateOf(record), status: 'stopped' },
    { directory: record.bundle, warn },
  )
  containers.store.forget(record.id)
}

export function deleteVerb(containers: Containers, flags: ParsedFlags): number {
  const id = flags.args[0]!
  const force = flags.is('force')
  let found: ReturnType<Containers['find']>
  try {
    found = containers.find(id)
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'not-found') throw error
    forgetCreation(containers, id)
    if (force) return 0
    throw error
  }
  const { record, status } = found
  if (!force && status !== 'stopped' && status !== 'created')
    throw new EngineError('conflict', `cannot delete container ${id} that is not stopped: ${status}`)
  if (status !== 'stopped') killFirst(containers, record)
  destroy(containers, record)
  return 0
}

/** What a `create` that was killed had made before it knew its process: the process goes by itself, its group does not. */
function forgetCreation(containers: Containers, id: string): void {
  const creation = containers.store.creation(id)
  if (creation !== undefined && creation.cgroup.kind !== 'none') {
    const cgroup = containers.group(creation.cgroup)
    try {
      cgroup.kill(killPatience)
      cgroup.remove()
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }
  containers.store.forget(id)
}

function killFirst(containers: Containers, record: ContainerRecord): void {
  const cgroup = containers.group(record.cgroup)
  try {
    signalFirst(record, signalNumbers.SIGKILL)
  } catch (error) {
    // It has ended since it was looked at.
    if (!saysNotRunning(error)) throw error
  }
  if (cgroup.frozen()) cgroup.thaw()
  const end = performance.now() + killPatience
  while (isAlive(record)) {
    if (performance.now() > end) throw new EngineError('internal', 'container init still running')
    pause(1)
  }
}
