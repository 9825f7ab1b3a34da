/**
 * The parent half of a container's creation. After `createContainer` its process waits, fully set up, before execve;
 * `start` lets it go. Synchronous: for the shim and the runtime's command line, both single-threaded.
 */

import { EngineError } from '../base/errors.ts'
import { delegateGroup } from '../cgroup/delegate.ts'
import { containerDeviceRules } from '../cgroup/device-rules.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { namespacePath, openNamespace } from '../kernel/namespaces.ffi.ts'
import { borrowDescriptor, pidfdSendSignal, reap } from '../kernel/process.ffi.ts'
import { hostId } from '../spec/id-maps.ts'
import type { OciSpec } from '../spec/oci.ts'
import { releaseRoot } from './borrowed-tree.ts'
import { filterOf } from './compiled-filter.ts'
import { applyOomScore, raiseLimits } from './credentials.ts'
import { type Conversation, forkInit } from './fork-init.ts'
import { pausesBeforeRoot, runHooks, runtimeHooks, stateOf } from './hooks.ts'
import { giveStreams, writeIdMaps } from './id-map.ts'
import { closeJoined, createdKinds, openJoined } from './namespaces.ts'
import { moveNetDevices } from './net-devices.ts'
import { prepareMounts } from './prepare-mounts.ts'
import type { CreateRequest } from './request.ts'
import { type ListenerOwner, passListener } from './seccomp-listener.ts'
import { type ChildMessage, expectMessage, receive, send } from './sync.ts'
import { validate } from './validate.ts'

const SIGKILL = 9

/** Of one who stays until it ends. */
export type SupervisedProcess = {
  /** The host's number of the container's first process. */
  pid: number
  pidfd: number
  /** The terminal's master, when process.terminal asks for one; non-inheritable, owned by the caller. */
  master?: number
  /** What each step took, in milliseconds. */
  steps: readonly (readonly [name: string, milliseconds: number])[]
  /** Lets it run; returns after execve(2) succeeded, throws why it did not (the process is reaped then). */
  start(): void
  /** Gives up before the start: kills and reaps. */
  abandon(): void
}

export type CreatedProcess = SupervisedProcess & {
  /** Leaves it to whoever comes to the request's gate; the caller may end. */
  leaveWaiting(): void
}

/**
 * Makes the cgroup, the namespaces, the root and everything up to execve. When it throws, the process and the cgroup
 * are gone again.
 */
export const createContainer = (request: CreateRequest): CreatedProcess => inNewGroup(request, forkContainer)

/** What `make` makes in a cgroup of its own, with its limits; the cgroup is gone again when it throws. */
export function inNewGroup<Result>(request: CreateRequest, make: (request: CreateRequest) => Result): Result {
  validate(request.spec)
  filterOf(request.spec)
  using cleanup = new DisposableStack()
  const { cgroup, spec } = request
  let succeeded = false
  cgroup.create()
  cleanup.defer(() => {
    if (!succeeded) cgroup.remove()
  })
  cleanup.defer(() => {
    if (!succeeded) releaseRoot(request)
  })
  applyResources(request)
  const owner = groupOwner(spec)
  if (owner !== undefined && cgroup.version === 2) delegateGroup(cgroup.directories.unified!, owner)
  const result = make(request)
  cgroup.settle?.()
  succeeded = true
  return result
}

/** Every request can be met by a fork. */
export function forkContainer(request: CreateRequest): CreatedProcess {
  const { spec } = request
  using cleanup = new DisposableStack()
  const prepared = cleanup.use(prepareMounts(request))
  const joined = cleanup.adopt(openJoined(spec), closeJoined)
  const created = createdKinds(spec)
  if (request.streams !== undefined) giveStreams(request.streams, spec, spec.process!)
  const complete = { ...request, ...prepared }
  const process = forkInit(complete, { created, joined })
  try {
    return completeCreation(process, complete, created.has('user'))
  } catch (error) {
    abandon(process)
    throw error
  }
}

/** An ordinary user's container cannot make device nodes anyway, and opens what its user may. */
function applyResources({ cgroup, spec, unprivileged }: CreateRequest): void {
  const { devices: asked, ...limits } = spec.linux?.resources ?? {}
  const devices = containerDeviceRules(asked)
  if (unprivileged !== true) {
    cgroup.apply({ ...limits, devices })
    return
  }
  cgroup.apply(limits)
  try {
    cgroup.apply({ devices })
  } catch (error) {
    if (!(error instanceof EngineError && isErrno(error.cause, 'EPERM', 'EACCES'))) throw error
  }
}

/**
 * Whom the group is given to, on the machine: the user of a container that sees only its own groups and may write to
 * them; config-linux.md "Cgroup ownership".
 */
function groupOwner(spec: OciSpec): number | undefined {
  const created = createdKinds(spec)
  const writable = (spec.mounts ?? []).some(
    ({ destination, type, options }) =>
      destination === '/sys/fs/cgroup' && (type === 'cgroup' || type === 'cgroup2') && options?.includes('ro') !== true,
  )
  if (!created.has('user') || !created.has('cgroup') || !writable) return undefined
  return hostId(spec.linux?.uidMappings ?? [], spec.process!.user.uid)
}

/** The whole conversation up to `created`. */
function completeCreation(process: Conversation, request: CreateRequest, mapsWanted: boolean): CreatedProcess {
  const { spec } = request
  if (mapsWanted) {
    expectMessage(hear(process, request), 'need-maps')
    writeIdMaps(process.pid, spec.linux?.uidMappings ?? [], spec.linux?.gidMappings ?? [])
    raiseLimits(spec.process!, process.pid)
    applyOomScore(spec.process!, process.pid)
    send(process.sync, { type: 'maps-written' })
  }
  if (pausesBeforeRoot(spec)) {
    expectMessage(hear(process, request), 'root-made')
    takeNetDevices(spec, process.pid)
    const state = { ...stateOf(request), status: 'creating' as const, pid: process.pid }
    for (const kind of runtimeHooks) runHooks(kind, spec.hooks, state, { directory: request.bundle })
    send(process.sync, { type: 'hooks-done' })
  }
  const created = expectMessage(hear(process, request), 'created')
  return createdProcess(process, created, { ...request, status: 'creating' })
}

function takeNetDevices({ linux }: OciSpec, pid: number): void {
  const devices = linux?.netDevices ?? {}
  if (Object.keys(devices).length === 0) return
  using cleanup = new DisposableStack()
  const namespace = cleanup.adopt(openNamespace(pid, 'network'), close)
  moveNetDevices(devices, namespace, namespacePath(pid, 'network'))
}

/** The child's next message; warnings on the way are passed on, and copies of mounts are given the owners that they show. */
export function hear(
  process: Conversation,
  { warn, mapOwners }: Pick<CreateRequest, 'warn' | 'mapOwners'>,
): ChildMessage | undefined {
  for (;;) {
    const message = receive<ChildMessage>(process.sync)
    if (message?.type === 'warning') warn(message.text)
    else if (message?.type === 'map-owners' && mapOwners !== undefined) {
      const copy = borrowDescriptor(process.pidfd, message.tree)
      try {
        mapOwners(message.index, copy)
      } finally {
        close(copy)
      }
      send(process.sync, { type: 'owners-mapped' })
    } else return message
  }
}

/** Who is told of what happens, and what the seccomp agent is told of the container. */
export type ProcessOwner = ListenerOwner & Pick<CreateRequest, 'warn'>

/** A child that is set up and waits: takes over its terminal. */
export function createdProcess(
  process: Conversation,
  message: Extract<ChildMessage, { type: 'created' }>,
  owner: ProcessOwner,
): CreatedProcess {
  const result: CreatedProcess = {
    pid: process.pid,
    pidfd: process.pidfd,
    steps: message.steps,
    start: () => startProcess(process, owner),
    leaveWaiting: () => {
      send(process.sync, { type: 'await-start' })
      close(process.sync)
    },
    abandon: () => abandon(process),
  }
  if (message.master !== undefined) result.master = borrowDescriptor(process.pidfd, message.master)
  return result
}

/**
 * Lets a process go that waits at the other end of `process.sync`, and need not be the caller's child: returns after
 * execve(2) succeeded, throws why it did not. The conversation is closed then.
 */
export function startProcess(process: Conversation, owner: ProcessOwner): void {
  send(process.sync, { type: 'start' })
  let answer = hear(process, owner)
  if (answer?.type === 'seccomp-listener') {
    handOver(process, answer.listener, owner)
    answer = hear(process, owner)
  }
  if (answer !== undefined) {
    abandon(process)
    expectMessage(answer, 'created')
  }
  close(process.sync)
}

function handOver(process: Conversation, listener: number, owner: ListenerOwner): void {
  try {
    passListener(process, listener, owner)
  } catch (error) {
    abandon(process)
    throw error
  }
  send(process.sync, { type: 'listener-taken' })
}

/** Kills and reaps a child, and closes its pidfd. */
export function endChild({ pid, pidfd }: Pick<SupervisedProcess, 'pid' | 'pidfd'>): void {
  try {
    pidfdSendSignal(pidfd, SIGKILL)
  } catch {
    // It ended by itself, which is all that is wanted.
  }
  reap({ pid, block: true })
  close(pidfd)
}

export function abandon(process: Conversation): void {
  endChild(process)
  close(process.sync)
}
