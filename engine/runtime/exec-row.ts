/**
 * One more process in a running container, the quick way: a process that shares its maker's memory makes a prepared row of
 * system calls, from the container's namespaces to execve(2) (docs/decisions/0015). What the row cannot do, or fails at,
 * is left to `joinContainer`, which knows to say why.
 */
import { EngineError } from '../base/errors.ts'
import { CallSequence, type SystemCall } from '../kernel/call-sequence.ffi.ts'
import { close, PollSet, pipe, pollEvents, writeFileCalls } from '../kernel/descriptors.ffi.ts'
import { everyCapability, permittedCapabilities } from '../kernel/identity.ffi.ts'
import { sessionKeyringCall } from '../kernel/keyring.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { changeDirectoryCall } from '../kernel/mount.ffi.ts'
import { namespaceCall } from '../kernel/namespaces.ffi.ts'
import { executeCalls, parentDeathCall, pidfdSendSignal, reap, sessionCall } from '../kernel/process.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import { ownsTree } from './borrowed-tree.ts'
import {
  becomeUserCalls,
  easyLimitCalls,
  labelsOf,
  oomScoreCalls,
  passwdOf,
  raiseLimitCalls,
  warnOfLeftOut,
  withHome,
} from './credentials.ts'
import { type ExecRequest, hideFromContainer, joinAsParent, type Target, targetOf } from './exec.ts'
import { giveStreams } from './id-map.ts'
import type { StandardStreams } from './request.ts'
import { cloneRowInto, descriptorCalls, farewellCalls, fitsAnyRow } from './row.ts'
import { validateProcess } from './validate.ts'

/** A request whose process gets pipes; with a terminal there is one to be opened inside. */
export type RowRequest = ExecRequest & { streams: StandardStreams }

/** Whether a row can do all that is asked for. */
const fitsRow = (request: RowRequest, { kinds }: Target): boolean =>
  fitsAnyRow(request) &&
  ownsTree(request.spec) &&
  // Who shares its memory may not change its time; setns(2).
  !kinds.includes('time')

/** Milliseconds. The container's own processes could stop the new one before it is the program. */
const patience = 10_000

/**
 * As `joinContainer` and `start` in one: returns when the program has been executed. Undefined, and nothing is left, when that
 * did not come to pass.
 *
 * Precondition: the caller is root, and keeps nothing in descriptors 0 to 3 that the process should have.
 */
export function executeInContainer(request: RowRequest): { pid: number; pidfd: number } | undefined {
  validateProcess(request.process)
  using target = targetOf(request.pid)
  if (!fitsRow(request, target)) return undefined
  giveStreams(request.streams, request.spec, request.process)
  using cleanup = new DisposableStack()
  const done = pipe()
  cleanup.adopt(done.readEnd, close)
  // Until it is the program its memory is the caller's, and so is the mark that closes it to others.
  cleanup.use(hideFromContainer())
  const score = cleanup.use(oomScoreCalls(request.process))
  const begun = begin(request, target, { done: done.writeEnd, score: score.calls })
  if (begun === undefined) return undefined
  const { child, row } = begun
  const ended = awaitEnd(done.readEnd)
  if (!ended) pidfdSendSignal(child.pidfd, signalNumbers.SIGKILL)
  if (ended && row.failure() === undefined) {
    warnOfLeftOut(request.process, request.warn)
    return child
  }
  reap({ pid: child.pid, block: true })
  close(child.pidfd)
  if (!ended) throw new EngineError('internal', `the process did not get to its program within ${patience} ms`)
  return undefined
}

type Begun = { child: { pid: number; pidfd: number }; row: CallSequence }

/**
 * Takes `done` over: the new process has a copy. Undefined where the group takes nobody: a container that runs containers
 * has handed its controllers down.
 */
function begin(
  request: RowRequest,
  target: Target,
  given: { done: number; score: readonly SystemCall[] },
): Begun | undefined {
  using cleanup = new DisposableStack()
  cleanup.defer(() => close(given.done))
  const row = new CallSequence(callsOf(request, target, given))
  cleanup.use(joinAsParent(target))
  try {
    return { child: cloneRowInto(request.cgroup, 0n, row), row }
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'ENOTSUP', 'EOPNOTSUPP')) throw error
    return undefined
  }
}

function awaitEnd(fd: number): boolean {
  const polls = new PollSet()
  const deadline = performance.now() + patience
  for (;;) {
    polls.clear()
    const slot = polls.add(fd, pollEvents.POLLIN)
    polls.wait(Math.max(0, Math.ceil(deadline - performance.now())))
    if (polls.events(slot) !== 0) return true
    if (performance.now() >= deadline) return false
  }
}

/** Each needs a power or a view that a later one gives up: the order is that of exec.ts and process-steps.ts. */
function callsOf(
  request: RowRequest,
  { pidfd, kinds }: Target,
  { done, score }: { done: number; score: readonly SystemCall[] },
): SystemCall[] {
  const { process, spec, streams, cgroup, keyring, supervised } = request
  const inside = kinds.filter((type) => type !== 'pid')
  // All of them, in a user namespace that one enters from outside; user_namespaces(7).
  const available = kinds.includes('user') ? everyCapability() : permittedCapabilities()
  return [
    ...cgroup.doors.flatMap((path) => writeFileCalls(path, '0')),
    ...raiseLimitCalls(process, 0),
    ...score,
    ...labelsOf(process).flatMap(({ attribute, value }) => writeFileCalls(`/proc/self/attr/${attribute}`, value)),
    ...(inside.length === 0 ? [] : [namespaceCall(pidfd, inside)]),
    sessionCall,
    ...(keyring === undefined ? [] : [sessionKeyringCall(keyring)]),
    ...easyLimitCalls(process),
    ...descriptorCalls(streams, process.user.uid, [done]),
    ...becomeUserCalls(process, available),
    ...(supervised ? [parentDeathCall(signalNumbers.SIGKILL)] : []),
    // No descriptor is left through which it could lead outside.
    changeDirectoryCall(process.cwd),
    ...farewellCalls(process, spec, available),
    ...programCalls(request),
  ]
}

/** Along PATH the kernel itself looks, as the user: execvp(3). */
function programCalls({ pid, process }: RowRequest): SystemCall[] {
  const environment = withHome(process.env ?? [], process.user.uid, () => passwdOf(pid))
  const [name = ''] = process.args
  const path = environment.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? ''
  const directories = path.split(':').map((directory) => (directory === '' ? '.' : directory))
  const paths = name.includes('/') ? [name] : directories.map((directory) => `${directory}/${name}`)
  return executeCalls(paths, process.args, environment)
}
