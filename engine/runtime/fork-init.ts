/** The fork of a container's first process: into its cgroup, its new namespaces, and those it joins. */
import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import { EngineError, messageOf } from '../base/errors.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { unshare } from '../kernel/namespaces.ffi.ts'
import { clone, cloneFlags, exit, pidfdOpen, reap } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import type { OciLinux, OciNamespaceType } from '../spec/oci.ts'
import { applyOomScore, raiseLimits } from './credentials.ts'
import { runInit } from './init.ts'
import { childrenGoTo, type Joined, joinAll, needsStage, newNamespaceFlags } from './namespaces.ts'
import { reportAndExit } from './process-steps.ts'
import type { CreateRequest } from './request.ts'
import { type ChildMessage, expectMessage, type ParentMessage, receive, send } from './sync.ts'

export type Conversation = { pid: number; pidfd: number; sync: number }

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

export type ForkPlan = { created: ReadonlySet<OciNamespaceType>; joined: Joined }

/** The child waits in the middle of its set-up or at its end, as runtime/init.ts has it. */
export function forkInit(request: CreateRequest, plan: ForkPlan): Conversation {
  using cleanup = new DisposableStack()
  const { birthplace } = request.cgroup
  const cgroup =
    birthplace === undefined ? undefined : cleanup.adopt(openSync(birthplace, constants.O_DIRECTORY), closeSync)
  const fork: Fork = { request, ...plan, ...(cgroup === undefined ? {} : { cgroup }) }
  if (!needsStage(plan.created, plan.joined)) return converse((ours, theirs) => forkDirectly(fork, ours, theirs))
  const stage = converse((ours, theirs) => {
    const child = clone({ flags: cloneFlags.CLONE_PIDFD })
    if (child.pid !== 0) return child
    close(ours)
    return runStage(fork, theirs)
  })
  return adopt(stage)
}

type Fork = ForkPlan & { request: CreateRequest; cgroup?: number }

export type Child = { pid: number; pidfd: number; born: boolean }

/**
 * Into the group, by a descriptor of its birthplace, where that is allowed: an ordinary user may not lead a process there
 * from a group of somebody else, and a container that runs containers has handed its controllers down.
 */
export function cloneInto(cgroup: number | undefined, flags: bigint): Child {
  if (cgroup !== undefined) {
    try {
      return { ...clone({ flags: flags | cloneFlags.CLONE_INTO_CGROUP, cgroup }), born: true }
    } catch (error) {
      if (!isErrno(error, 'EACCES', 'EPERM', 'EBUSY', 'ENOTSUP', 'EOPNOTSUPP')) throw error
    }
  }
  return { ...clone({ flags }), born: false }
}

function forkDirectly(fork: Fork, ours: number, theirs: number): { pid: number; pidfd: number } {
  using cleanup = new DisposableStack()
  const { request, created, joined, cgroup } = fork
  const pidNamespace = joined.find(({ type }) => type === 'pid')
  if (pidNamespace !== undefined) cleanup.use(childrenGoTo(pidNamespace.fd))
  const child = cloneInto(cgroup, newNamespaceFlags(created) | cloneFlags.CLONE_PIDFD)
  if (child.pid !== 0) return child
  close(ours)
  const rest = joined.filter(({ type }) => type !== 'pid')
  const entered = child.born ? 'birthplace' : 'nowhere'
  return runInit({ request, sync: theirs, joined: rest, created, entered, staged: false })
}

/** The process between: joins, makes the first process a child of its own parent (CLONE_PARENT), and ends. */
function runStage(fork: Fork, sync: number): never {
  try {
    const { request, created, joined } = fork
    // From another cgroup namespace the group is out of reach (ENOENT where the hierarchy is mounted with nsdelegate).
    const away = request.cgroup.version === 2 && joined.some(({ type }) => type === 'cgroup')
    const cgroup = away ? undefined : fork.cgroup
    // Before another mount namespace hides the groups' files.
    request.cgroup.enter(0, cgroup !== undefined)
    // Another user namespace would take the right to.
    raiseLimits(request.spec.process!, 0)
    applyOomScore(request.spec.process!)
    if (created.has('time')) makeTimeNamespace(request.spec.linux?.timeOffsets ?? {})
    joinAll(joined)
    const child = cloneInto(cgroup, newNamespaceFlags(created) | cloneFlags.CLONE_PARENT)
    const outside = cgroup !== undefined && !child.born && request.cgroup.version === 2
    const entered = outside ? 'nowhere' : 'everywhere'
    if (child.pid === 0) return runInit({ request, sync, joined: [], created, entered, staged: true })
    send(sync, { type: 'entered', pid: child.pid })
    exit(0)
  } catch (error) {
    reportAndExit(sync, 'join namespaces', error)
  }
}

/** For children to come; its clocks are as they were, plus the offsets. */
function makeTimeNamespace(offsets: NonNullable<OciLinux['timeOffsets']>): void {
  unshare(['time'])
  for (const [clock, { secs = 0, nanosecs = 0 }] of Object.entries(offsets)) {
    try {
      writeFileSync('/proc/self/timens_offsets', `${clock} ${secs} ${nanosecs}\n`)
    } catch (error) {
      throw new EngineError('invalid', `linux.timeOffsets.${clock}: ${secs} s ${nanosecs} ns: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }
}

/** The stage names the process that it made and ends; that one waits to be told, so that the two words do not cross. */
export function adopt(stage: Conversation): Conversation {
  try {
    const { pid } = expectMessage(receive<ChildMessage>(stage.sync), 'entered')
    const process = { pid, pidfd: pidfdOpen(pid), sync: stage.sync }
    const known: ParentMessage = { type: 'known' }
    send(stage.sync, known)
    return process
  } catch (error) {
    close(stage.sync)
    throw error
  } finally {
    close(stage.pidfd)
    reap({ pid: stage.pid, block: true })
  }
}
