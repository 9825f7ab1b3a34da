/**
 * The child half of a container's creation: from a fresh fork in new namespaces to the container's own program.
 * Runs synchronously in a forked process; it never returns.
 */
import { EngineError } from '../base/errors.ts'
import { setGroup, setUser } from '../kernel/identity.ffi.ts'
import { joinNewSessionKeyring } from '../kernel/keyring.ffi.ts'
import { namespaceFlags, setDomainname, setHostname, setNamespace, unshare } from '../kernel/namespaces.ffi.ts'
import { exit, startSession } from '../kernel/process.ffi.ts'
import type { OciNamespaceType } from '../spec/oci.ts'
import { maskPaths, protectPaths } from './hardening.ts'
import { type ProcessContext, runToProgram, type Step, takeTerminal } from './process-steps.ts'
import type { CreateRequest } from './request.ts'
import { bindConsole, enterRoot, makeRoot } from './rootfs.ts'
import { type ParentMessage, receive, send } from './sync.ts'
import { applySysctls } from './sysctl.ts'

/** What the parent opened for the child before the fork. */
export type InitPlan = {
  request: CreateRequest
  /** The child's end of the conversation. */
  sync: number
  /** Namespaces to join, in order. */
  joined: readonly { type: OciNamespaceType; fd: number }[]
  /** Kinds that are new. */
  created: ReadonlySet<OciNamespaceType>
  /** The child is in its cgroup already (CLONE_INTO_CGROUP). */
  inCgroup: boolean
}

type InitContext = ProcessContext & { plan: InitPlan; root?: number }

/** Each step needs a power or a view that a later one gives up; the order is the point. */
const containerSteps: readonly Step<InitContext>[] = [
  ['enter cgroup', enterCgroup],
  ['map ids', mapIds],
  ['join namespaces', joinNamespaces],
  ['new session', () => startSession()],
  ['new keyring', ({ plan: { request } }) => request.keyring !== undefined && joinNewSessionKeyring(request.keyring)],
  ['set names', setNames],
  [
    'make root',
    (context) => {
      context.root = makeRoot(context.plan.request, context.plan.created)
    },
  ],
  ['enter root', ({ plan, root }) => enterRoot(plan.request, root!)],
  ['open terminal', (context) => takeTerminal(context, bindConsole)],
  ['set sysctls', ({ plan }) => applySysctls(plan.request.spec.linux?.sysctl ?? {})],
  ['make paths read-only', ({ plan }) => protectPaths(plan.request.spec.linux?.readonlyPaths ?? [])],
  ['mask paths', ({ plan }) => maskPaths(plan.request.spec.linux?.maskedPaths ?? [])],
]

/** Runs to execve; whatever fails is told to the parent by the name of its step, and ends the process. */
export function runInit(plan: InitPlan): never {
  const { spec, streams, loadSeccomp, supervised, gate, preserved } = plan.request
  const context: InitContext = {
    plan,
    sync: plan.sync,
    process: spec.process!,
    loadFilter: () => (spec.linux?.seccomp === undefined ? -1 : loadSeccomp(spec.linux.seccomp)),
    supervised,
    ...(streams === undefined ? {} : { streams }),
    ...(gate === undefined ? {} : { gate }),
    ...(preserved === undefined ? {} : { preserved }),
  }
  return runToProgram(context, containerSteps)
}

function enterCgroup({ plan }: InitContext): void {
  // 0 names the writer itself, whatever its number is in the namespace it was cloned into; cgroups(7).
  if (!plan.inCgroup) plan.request.cgroup.enter(0)
  // After it entered: the root of a new cgroup namespace is the group its maker is in; cgroup_namespaces(7).
  if (plan.created.has('cgroup')) unshare(['cgroup'])
}

/** In a new user namespace the process is nobody until its parent, which has the right to, has written the maps. */
function mapIds({ plan, sync }: InitContext): void {
  if (!plan.created.has('user')) return
  send(sync, { type: 'need-maps' })
  if (receive<ParentMessage>(sync)?.type !== 'maps-written') exit(1)
  setGroup(0)
  setUser(0)
}

function joinNamespaces({ plan }: InitContext): void {
  // The PID namespace was joined by the parent, before the fork.
  for (const { type, fd } of plan.joined) if (type !== 'pid') setNamespace(fd, [type])
}

function setNames({ plan }: InitContext): void {
  const { hostname = '', domainname = '', linux } = plan.request.spec
  if (!plan.created.has('uts')) {
    if (hostname !== '' && linux?.namespaces?.some(({ type }) => type === 'uts') !== true)
      throw new EngineError('invalid', 'hostname: needs a UTS namespace of its own')
    return
  }
  if (hostname !== '') setHostname(hostname)
  if (domainname !== '') setDomainname(domainname)
}

/** The cgroup namespace is left out: the child makes it, once it is in its group. */
export const newNamespaceFlags = (created: ReadonlySet<OciNamespaceType>): bigint =>
  namespaceFlags([...created].filter((type) => type !== 'cgroup'))
