/**
 * One more process in a running container: born in its PID namespace, it joins the cgroup and the other namespaces
 * itself, then gives up its powers as the first process did.
 */
import { closeSync, constants, openSync, statSync } from 'node:fs'
import type { Cgroup } from '../cgroup/cgroup.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { joinSessionKeyring } from '../kernel/keyring.ffi.ts'
import {
  type NamespaceKind,
  namespaceKinds,
  namespacePath,
  type ProcessName,
  setNamespace,
} from '../kernel/namespaces.ffi.ts'
import { clone, cloneFlags, currentPid, exit, pidfdOpen, setDumpable, startSession } from '../kernel/process.ffi.ts'
import type { OciNamespaceType, OciProcess, OciSpec } from '../spec/oci.ts'
import { enterByChroot, ownsTree } from './borrowed-tree.ts'
import { filterOf } from './compiled-filter.ts'
import { abandon, type CreatedProcess, createdProcess, hear } from './create.ts'
import { applyOomScore, raiseLimits } from './credentials.ts'
import { adopt, cloneInto, converse } from './fork-init.ts'
import { giveStreams } from './id-map.ts'
import { childrenGoTo } from './namespaces.ts'
import { type ProcessContext, reportAndExit, runToProgram, type Step, takeTerminal } from './process-steps.ts'
import type { StandardStreams } from './request.ts'
import { applyAffinity } from './scheduling.ts'
import { expectMessage, type ParentMessage, receive, send } from './sync.ts'
import { validateProcess } from './validate.ts'

export type ExecRequest = {
  /** The container's. */
  id: string
  bundle: string
  /** Host pid of a process that is in the container. */
  pid: number
  process: OciProcess
  /** The container's own: seccomp and the namespaces it has. */
  spec: OciSpec
  cgroup: Cgroup
  streams?: StandardStreams
  /** As in CreateRequest. */
  supervised: boolean
  preserved?: number
  /** The name of the container's session keyring; absent: it keeps the caller's. */
  keyring?: string
  warn: (sentence: string) => void
}

/** As `createContainer`: set up and waiting. Throws with nothing left behind. */
export function joinContainer(request: ExecRequest): CreatedProcess {
  validateProcess(request.process)
  filterOf(request.spec)
  using target = targetOf(request.pid)
  if (request.streams !== undefined) giveStreams(request.streams, request.spec, request.process)
  const process = belongsToOthers(target)
    ? adopt(converse((ours, theirs) => forkStage(target, request, ours, theirs)))
    : converse((ours, theirs) => forkInto(target, request, ours, theirs))
  try {
    const created = expectMessage(hear(process, request), 'created')
    return createdProcess(process, created, { ...request, status: 'running', containerPid: request.pid })
  } catch (error) {
    abandon(process)
    throw error
  }
}

export type Target = { pidfd: number; kinds: readonly OciNamespaceType[] }

export const targetOf = (pid: number): Target & Disposable => {
  const pidfd = pidfdOpen(pid)
  return { pidfd, kinds: foreignKinds(pid), [Symbol.dispose]: () => close(pidfd) }
}

/** Inodes of this process's namespaces; of another process where this one has begun from that one's image. */
let known: { pid: number; namespaces: Map<string, number> } | undefined

/** The kinds in which the target differs from us: joining one's own user namespace is refused (EINVAL). */
function foreignKinds(target: number): OciNamespaceType[] {
  const identity = (process: ProcessName, { type }: NamespaceKind) => statSync(namespacePath(process, type)).ino
  const pid = currentPid()
  if (known?.pid !== pid)
    known = { pid, namespaces: new Map(namespaceKinds.map((kind) => [kind.type, identity('self', kind)])) }
  const { namespaces } = known
  return namespaceKinds.filter((kind) => namespaces.get(kind.type) !== identity(target, kind)).map(({ type }) => type)
}

/**
 * An ordinary user has no power over the container's PID namespace, which belongs to its user namespace: only a process
 * in there can make another that is.
 */
const belongsToOthers = ({ kinds }: Target): boolean => process.geteuid?.() !== 0 && kinds.includes('user')

function forkStage(target: Target, request: ExecRequest, ours: number, theirs: number): { pid: number; pidfd: number } {
  const stage = clone({ flags: cloneFlags.CLONE_PIDFD })
  if (stage.pid !== 0) return stage
  close(ours)
  return runStage(request, target, theirs)
}

/** The process between: joins everything, makes the one that stays a child of its own parent (CLONE_PARENT), and ends. */
function runStage(request: ExecRequest, { pidfd, kinds }: Target, sync: number): never {
  try {
    request.cgroup.enter(0)
    applyOomScore(request.process)
    setNamespace(pidfd, kinds)
    const child = clone({ flags: cloneFlags.CLONE_PARENT })
    if (child.pid !== 0) {
      send(sync, { type: 'entered', pid: child.pid })
      exit(0)
    }
    if (receive<ParentMessage>(sync)?.type !== 'known') exit(1)
  } catch (error) {
    reportAndExit(sync, 'enter container', error)
  }
  runToProgram(processContext(request, sync), execSteps)
}

function forkInto(target: Target, request: ExecRequest, ours: number, theirs: number): { pid: number; pidfd: number } {
  using _hidden = hideFromContainer()
  using _place = joinAsParent(target)
  using cleanup = new DisposableStack()
  const birthplace = birthplaceOf(request)
  const cgroup =
    birthplace === undefined ? undefined : cleanup.adopt(openSync(birthplace, constants.O_DIRECTORY), closeSync)
  const child = cloneInto(cgroup, cloneFlags.CLONE_PIDFD)
  if (child.pid !== 0) return child
  close(ours)
  return enter(request, target, theirs, child.born)
}

/**
 * The container's processes can see the child from its first moment: it is closed to their ptrace(2), and its
 * /proc/PID/exe with it, until execve.
 */
export function hideFromContainer(): Disposable {
  setDumpable(false)
  return { [Symbol.dispose]: () => setDumpable(true) }
}

/** A child made meanwhile is in the target's PID namespace. */
export const joinAsParent = ({ pidfd, kinds }: Target): Disposable =>
  kinds.includes('pid') ? childrenGoTo(pidfd) : new DisposableStack()

/** None where a set of processors comes first that the group need not have. */
function birthplaceOf({ cgroup, process }: ExecRequest): string | undefined {
  const first = process.execCPUAffinity?.initial ?? ''
  return cgroup.version === 2 && first !== '' ? undefined : cgroup.birthplace
}

function enter(request: ExecRequest, { pidfd, kinds }: Target, sync: number, born: boolean): never {
  try {
    // In a mount namespace that others have as well, the container's root is a directory of it.
    const root = ownsTree(request.spec) ? undefined : openSync(`/proc/${request.pid}/root`, constants.O_DIRECTORY)
    applyAffinity(request.process, 'initial')
    request.cgroup.enter(0, born)
    raiseLimits(request.process, 0)
    applyOomScore(request.process)
    applyAffinity(request.process, 'final')
    const rest = kinds.filter((type) => type !== 'pid')
    if (rest.length > 0) setNamespace(pidfd, rest)
    if (root !== undefined) enterByChroot(root)
  } catch (error) {
    reportAndExit(sync, 'enter container', error)
  }
  runToProgram(processContext(request, sync), execSteps)
}

const execSteps: readonly Step<ProcessContext>[] = [
  ['new session', () => startSession()],
  ['join keyring', ({ keyring }) => keyring !== undefined && joinSessionKeyring(keyring)],
  ['open terminal', (context) => takeTerminal(context)],
]

function processContext(request: ExecRequest, sync: number): ProcessContext {
  const filter = filterOf(request.spec)
  const context: ProcessContext = {
    sync,
    process: request.process,
    linux: request.spec.linux ?? {},
    supervised: request.supervised,
    scored: true,
  }
  if (filter !== undefined) context.filter = filter
  if (request.preserved !== undefined) context.preserved = request.preserved
  if (request.keyring !== undefined) context.keyring = request.keyring
  if (request.streams !== undefined) context.streams = request.streams
  return context
}
