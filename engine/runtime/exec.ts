/**
 * One more process in a running container: joins its cgroup and namespaces, then gives up its powers as the first
 * process did. Two forks: entering a PID namespace takes effect for children only, so the one that joins makes the one
 * that stays; CLONE_PARENT makes that a child of the caller, who reaps it.
 */
import { constants, openSync, statSync } from 'node:fs'
import type { Cgroup } from '../cgroup/cgroup.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { namespaceKinds, setNamespace } from '../kernel/namespaces.ffi.ts'
import { clone, cloneFlags, exit, pidfdOpen, reap, setDumpable, startSession } from '../kernel/process.ffi.ts'
import type { OciNamespaceType, OciProcess, OciSpec } from '../spec/oci.ts'
import { enterByChroot, ownsTree } from './borrowed-tree.ts'
import { type CreatedProcess, createdProcess } from './create.ts'
import { type Conversation, converse } from './fork-init.ts'
import { type ProcessContext, reportAndExit, runToProgram, type Step, takeTerminal } from './process-steps.ts'
import type { LoadSeccomp, StandardStreams } from './request.ts'
import { applyAffinity } from './scheduling.ts'
import { type ChildMessage, expectMessage, receive, send } from './sync.ts'
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
  loadSeccomp: LoadSeccomp
  /** As in CreateRequest. */
  supervised: boolean
  preserved?: number
  warn: (sentence: string) => void
}

/** As `createContainer`: set up and waiting. Throws with nothing left behind. */
export function joinContainer(request: ExecRequest): CreatedProcess {
  validateProcess(request.process)
  const pidfd = pidfdOpen(request.pid)
  try {
    const helper = converse((ours, theirs) => {
      const child = clone({ flags: cloneFlags.CLONE_PIDFD })
      if (child.pid !== 0) return child
      close(ours)
      return enter(request, pidfd, theirs)
    })
    return adopt(helper, request)
  } finally {
    close(pidfd)
  }
}

/** The helper names the process it made and ends; both speak on one socket, in whichever order they get to run. */
function adopt(helper: Conversation, request: ExecRequest): CreatedProcess {
  let pid: number | undefined
  let created: Extract<ChildMessage, { type: 'created' }> | undefined
  try {
    while (pid === undefined || created === undefined) {
      const message = receive<ChildMessage>(helper.sync)
      if (message?.type === 'entered') pid = message.pid
      else if (message?.type === 'warning') request.warn(message.text)
      else created = expectMessage(message, 'created')
    }
    const owner = { ...request, status: 'running' as const, containerPid: request.pid }
    return createdProcess({ pid, pidfd: pidfdOpen(pid), sync: helper.sync }, created, owner)
  } catch (error) {
    close(helper.sync)
    if (pid !== undefined) reap({ pid, block: true })
    throw error
  } finally {
    close(helper.pidfd)
    reap({ pid: helper.pid, block: true })
  }
}

/** The kinds in which the target differs from us: joining one's own user namespace is refused (EINVAL). */
function foreignKinds(pid: number): OciNamespaceType[] {
  return namespaceKinds
    .filter(({ link }) => statSync(`/proc/self/ns/${link}`).ino !== statSync(`/proc/${pid}/ns/${link}`).ino)
    .map(({ type }) => type)
}

function enter(request: ExecRequest, pidfd: number, sync: number): never {
  try {
    // Before the container's processes can see this one: closed to their ptrace(2), and its /proc/PID/exe with it.
    setDumpable(false)
    const kinds = foreignKinds(request.pid)
    // In a mount namespace that others have as well, the container's root is a directory of it.
    const root = ownsTree(request.spec) ? undefined : openSync(`/proc/${request.pid}/root`, constants.O_DIRECTORY)
    applyAffinity(request.process, 'initial')
    request.cgroup.enter(0)
    applyAffinity(request.process, 'final')
    setNamespace(pidfd, kinds)
    if (root !== undefined) enterByChroot(root)
    const child = clone({ flags: cloneFlags.CLONE_PARENT })
    if (child.pid === 0) return runToProgram(processContext(request, sync), execSteps)
    send(sync, { type: 'entered', pid: child.pid })
    exit(0)
  } catch (error) {
    reportAndExit(sync, 'enter container', error)
  }
}

const execSteps: readonly Step<ProcessContext>[] = [
  ['new session', () => startSession()],
  ['open terminal', (context) => takeTerminal(context)],
]

function processContext(request: ExecRequest, sync: number): ProcessContext {
  const seccomp = request.spec.linux?.seccomp
  const context: ProcessContext = {
    sync,
    process: request.process,
    linux: request.spec.linux ?? {},
    loadFilter: () => (seccomp === undefined ? -1 : request.loadSeccomp(seccomp)),
    supervised: request.supervised,
  }
  if (request.preserved !== undefined) context.preserved = request.preserved
  if (request.streams !== undefined) context.streams = request.streams
  return context
}
