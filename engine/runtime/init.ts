/**
 * The child half of a container's creation: from a fresh fork in new namespaces to the container's own program.
 * Runs synchronously in a forked process; it never returns.
 */
import { makeCalls } from '../kernel/call-sequence.ffi.ts'
import { groupCall, userCall } from '../kernel/identity.ffi.ts'
import { makeSessionKeyring } from '../kernel/keyring.ffi.ts'
import { unshare } from '../kernel/namespaces.ffi.ts'
import { currentPid, exit, startSession } from '../kernel/process.ffi.ts'
import type { OciNamespaceType } from '../spec/oci.ts'
import { filterOf } from './compiled-filter.ts'
import { pausesBeforeRoot, runHooks, stateOf } from './hooks.ts'
import { procPath } from './in-root.ts'
import { hasNamespace, type Joined, joinAll } from './namespaces.ts'
import { type ProcessContext, runToProgram, type Step, takeTerminal } from './process-steps.ts'
import type { CreateRequest } from './request.ts'
import { bindConsole } from './rootfs.ts'
import { type ParentMessage, receive, send } from './sync.ts'
import { enterTree, makeTree, protectTree, setNames, type TreeContext } from './tree-steps.ts'

/** What the parent opened for the child before the fork. */
export type InitPlan = {
  request: CreateRequest
  /** The child's end of the conversation. */
  sync: number
  /** Namespaces that are still to be joined. */
  joined: Joined
  /** Kinds that are new. */
  created: ReadonlySet<OciNamespaceType>
  /** What of its cgroup the child is in already: where it was born, or all, since its maker was in. */
  entered: 'nowhere' | 'birthplace' | 'everywhere'
  /** Made by a process between, which joined what is to be joined: the child waits until its parent knows it. */
  staged: boolean
}

type InitContext = ProcessContext & TreeContext & { plan: InitPlan }

/** Each step needs a power or a view that a later one gives up; the order is the point. */
const containerSteps: readonly Step<InitContext>[] = [
  ['be known', beKnown],
  ['enter cgroup', enterCgroup],
  ['map ids', mapIds],
  ['join namespaces', joinNamespaces],
  ['new session', () => startSession()],
  ['new keyring', ({ plan: { request } }) => newKeyring(request)],
  setNames,
  makeTree,
  ['run hooks', runCreationHooks],
  enterTree,
  ['open terminal', (context) => takeTerminal(context, bindConsole)],
  ...protectTree,
]

/** Runs to execve; whatever fails is told to the parent by the name of its step, and ends the process. */
export function runInit(plan: InitPlan): never {
  const { spec, streams, supervised, gate, preserved } = plan.request
  const filter = filterOf(spec)
  const context: InitContext = {
    plan,
    request: plan.request,
    created: plan.created,
    mapOwners: (index, tree) => askForOwners(plan.sync, index, tree),
    sync: plan.sync,
    process: spec.process!,
    linux: spec.linux ?? {},
    supervised,
    scored: plan.staged || plan.created.has('user'),
    beforeLaunch: (execute, environment) => {
      const state = { ...stateOf(plan.request), status: 'created' as const, pid: currentPid() }
      runHooks('startContainer', spec.hooks, state, { execute, environment })
    },
    ...(filter === undefined ? {} : { filter }),
    ...(streams === undefined ? {} : { streams }),
    ...(gate === undefined ? {} : { gate }),
    ...(preserved === undefined ? {} : { preserved }),
  }
  return runToProgram(context, containerSteps)
}

function beKnown({ plan, sync }: InitContext): void {
  if (plan.staged && receive<ParentMessage>(sync)?.type !== 'known') exit(1)
}

/** Only the parent has the right to, and only the child sees what its own mounts show. */
function askForOwners(sync: number, index: number, tree: number): void {
  send(sync, { type: 'map-owners', index, tree })
  if (receive<ParentMessage>(sync)?.type !== 'owners-mapped') exit(1)
}

/** Those of the runtime's namespaces run in the parent, those of the container's here; both before the root is entered. */
function runCreationHooks({ plan, sync, root }: InitContext): void {
  const { hooks } = plan.request.spec
  if (pausesBeforeRoot(plan.request.spec)) {
    send(sync, { type: 'root-made' })
    if (receive<ParentMessage>(sync)?.type !== 'hooks-done') exit(1)
  }
  const state = { ...stateOf(plan.request), status: 'creating' as const, pid: currentPid() }
  runHooks('createContainer', hooks, state, { directory: procPath(root!) })
}

function enterCgroup({ plan }: InitContext): void {
  // 0 names the writer itself, whatever its number is in the namespace it was cloned into; cgroups(7).
  if (plan.entered !== 'everywhere') plan.request.cgroup.enter(0, plan.entered === 'birthplace')
  // After it entered: the root of a new cgroup namespace is the group its maker is in; cgroup_namespaces(7).
  if (plan.created.has('cgroup')) unshare(['cgroup'])
}

/** In a new user namespace the process is nobody until its parent, which has the right to, has written the maps. */
function mapIds({ plan, sync }: InitContext): void {
  if (plan.created.has('user')) {
    send(sync, { type: 'need-maps' })
    if (receive<ParentMessage>(sync)?.type !== 'maps-written') exit(1)
  } else if (!hasNamespace(plan.request.spec, 'user')) return
  makeCalls([groupCall(0), userCall(0)])
}

function joinNamespaces({ plan }: InitContext): void {
  joinAll(plan.joined)
}

/** Its own, which its further processes join. */
function newKeyring({ keyring, spec }: CreateRequest): void {
  if (keyring !== undefined) makeSessionKeyring(keyring, hasNamespace(spec, 'user') ? 'others' : 'user')
}
