/**
 * The parent half of a container's creation. After `createContainer` its process waits, fully set up, before execve;
 * `start` lets it go. Synchronous: for the shim and the runtime's command line, both single-threaded.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { openNamespace, setNamespace } from '../kernel/namespaces.ffi.ts'
import { borrowDescriptor, clone, cloneFlags, pidfdSendSignal, reap } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import type { OciNamespaceType, OciSpec } from '../spec/oci.ts'
import { closeIdMaps, openIdMaps, writeIdMaps } from './id-map.ts'
import { newNamespaceFlags, runInit } from './init.ts'
import type { CreateRequest } from './request.ts'
import { type ListenerOwner, passListener } from './seccomp-listener.ts'
import { type ChildMessage, expectMessage, receive, send } from './sync.ts'
import { validate } from './validate.ts'

const SIGKILL = 9

export type CreatedProcess = {
  /** The host's number of the container's first process. */
  pid: number
  pidfd: number
  /** The terminal's master, when process.terminal asks for one; non-inheritable, owned by the caller. */
  master?: number
  /** What each step of the child took, in milliseconds. */
  steps: readonly (readonly [name: string, milliseconds: number])[]
  /** Lets it run; returns after execve(2) succeeded, throws why it did not (the process is reaped then). */
  start(): void
  /** Leaves it to whoever comes to the request's gate; the caller may end. */
  leaveWaiting(): void
  /** Gives up before the start: kills and reaps. */
  abandon(): void
}

/**
 * Makes the cgroup, the namespaces, the root and everything up to execve. When it throws, the process and the cgroup
 * are gone again.
 */
export function createContainer(request: CreateRequest): CreatedProcess {
  validate(request.spec)
  using cleanup = new DisposableStack()
  const { cgroup, spec } = request
  let succeeded = false
  cgroup.create()
  cleanup.defer(() => {
    if (!succeeded) cgroup.remove()
  })
  cgroup.apply(spec.linux?.resources ?? {})
  const idMaps = cleanup.adopt(openIdMaps(spec.mounts ?? []), closeIdMaps)
  const joined = cleanup.adopt(openJoined(spec), closeJoined)
  const created = createdKinds(spec)
  const process = converse((ours, theirs) => forkInit({ ...request, idMaps }, { created, joined, ours, theirs }))
  try {
    const result = completeCreation(process, request, created.has('user'))
    succeeded = true
    return result
  } catch (error) {
    abandon(process)
    throw error
  }
}

export type Conversation = { pid: number; pidfd: number; sync: number }
type Joined = readonly { type: OciNamespaceType; fd: number }[]

/** Makes the socket pair and forks; the parent keeps one end. */
export function converse(fork: (ours: number, theirs: number) => { pid: number; pidfd: number }): Conversation {
  const [ours, theirs] = socketPair()
  try {
    return { ...fork(ours, theirs), sync: ours }
  } catch (error) {
    close(ours)
    throw error
  } finally {
    close(theirs)
  }
}

const closeJoined = (joined: Joined): void => {
  for (const { fd } of joined) closeSync(fd)
}

const createdKinds = (spec: OciSpec): Set<OciNamespaceType> =>
  new Set(
    (spec.linux?.namespaces ?? []).filter(({ path }) => path === undefined || path === '').map(({ type }) => type),
  )

function openJoined(spec: OciSpec): Joined {
  const joined: { type: OciNamespaceType; fd: number }[] = []
  for (const { type, path } of spec.linux?.namespaces ?? []) {
    if (path === undefined || path === '') continue
    try {
      joined.push({ type, fd: openSync(path, constants.O_RDONLY) })
    } catch (error) {
      closeJoined(joined)
      throw new EngineError(
        'invalid',
        `linux.namespaces: cannot join the ${type} namespace at ${JSON.stringify(path)}`,
        { cause: error },
      )
    }
  }
  return joined
}

type ForkPlan = { created: Set<OciNamespaceType>; joined: Joined; ours: number; theirs: number }

function forkInit(request: CreateRequest, { created, joined, ours, theirs }: ForkPlan): { pid: number; pidfd: number } {
  using cleanup = new DisposableStack()
  const inCgroup = request.cgroup.version === 2 && request.cgroup.directories.unified !== undefined
  const cgroup = inCgroup
    ? cleanup.adopt(openSync(request.cgroup.directories.unified!, constants.O_DIRECTORY), closeSync)
    : undefined
  const pidNamespace = joined.find(({ type }) => type === 'pid')
  if (pidNamespace !== undefined) {
    // Only children are affected; the caller itself stays where it is, and its later children, too.
    const home = cleanup.adopt(openNamespace('self', 'pid'), closeSync)
    setNamespace(pidNamespace.fd, ['pid'])
    cleanup.defer(() => setNamespace(home, ['pid']))
  }
  const flags =
    newNamespaceFlags(created) | cloneFlags.CLONE_PIDFD | (cgroup === undefined ? 0n : cloneFlags.CLONE_INTO_CGROUP)
  const child = clone(cgroup === undefined ? { flags } : { flags, cgroup })
  if (child.pid !== 0) return child
  close(ours)
  return runInit({ request, sync: theirs, joined, created, inCgroup })
}

function completeCreation(process: Conversation, request: CreateRequest, mapsWanted: boolean): CreatedProcess {
  const { spec } = request
  if (mapsWanted) {
    expectMessage(receive<ChildMessage>(process.sync), 'need-maps')
    writeIdMaps(process.pid, spec.linux?.uidMappings ?? [], spec.linux?.gidMappings ?? [])
    send(process.sync, { type: 'maps-written' })
  }
  const created = expectMessage(receive<ChildMessage>(process.sync), 'created')
  return createdProcess(process, created, { ...request, status: 'creating' })
}

/** A child that is set up and waits: takes over its terminal. */
export function createdProcess(
  process: Conversation,
  message: Extract<ChildMessage, { type: 'created' }>,
  owner: ListenerOwner,
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

function startProcess(process: Conversation, owner: ListenerOwner): void {
  send(process.sync, { type: 'start' })
  let answer = receive<ChildMessage>(process.sync)
  if (answer?.type === 'seccomp-listener') {
    handOver(process, answer.listener, owner)
    answer = receive<ChildMessage>(process.sync)
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

function abandon(process: Conversation): void {
  try {
    pidfdSendSignal(process.pidfd, SIGKILL)
  } catch {
    // It ended by itself, which is all that is wanted.
  }
  reap({ pid: process.pid, block: true })
  close(process.sync)
  close(process.pidfd)
}
