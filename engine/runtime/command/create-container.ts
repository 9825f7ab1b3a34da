/** `create` and `run`: from a bundle to a process, and for `run` to its end. */
import { EngineError, messageOf } from '../../base/errors.ts'
import { timestamp } from '../../base/time.ts'
import type { Cgroup } from '../../cgroup/cgroup.ts'
import { close } from '../../kernel/descriptors.ffi.ts'
import { becomeSubreaper } from '../../kernel/process.ffi.ts'
import type { OciSpec } from '../../spec/oci.ts'
import { filterOf } from '../compiled-filter.ts'
import { createContainer, type SupervisedProcess } from '../create.ts'
import { runHooks, stateOf } from '../hooks.ts'
import { createSupervised } from '../init-row.ts'
import type { CreateRequest } from '../request.ts'
import { forgetAffinity } from '../scheduling.ts'
import { validate } from '../validate.ts'
import { completed, enterBundle, readSpec, rootOf } from './bundle.ts'
import { processStat } from './container-status.ts'
import type { Containers } from './containers.ts'
import { destroy } from './delete-container.ts'
import type { ParsedFlags } from './flags.ts'
import { NotExecuted } from './not-executed.ts'
import { NotifySocket, notifyTarget, withNotifySocket } from './notify-socket.ts'
import { checkTerminal, ProcessStart, type StartOptions, startOptions, withActivation } from './process-start.ts'
import { type CgroupRecord, type ContainerRecord, checkId } from './state-store.ts'

type Creation = {
  containers: Containers
  id: string
  bundle: string
  rootfs: string
  spec: OciSpec
  cgroup: Cgroup
  cgroupRecord: CgroupRecord
  flags: ParsedFlags
  options: StartOptions
}

/** Answers the exit code of the command. */
export function createVerb(containers: Containers, flags: ParsedFlags): number {
  using cleanup = new DisposableStack()
  const creation = prepare(containers, flags, true)
  const { id } = creation
  cleanup.defer(reserve(creation))
  const gate = cleanup.adopt(containers.store.openGate(id), close)
  using start = new ProcessStart(creation.spec.process!, creation.options, containers.log)
  const process = makeProcess(createContainer, requestOf(creation, start, gate), containers)
  try {
    start.created(process)
    containers.store.save(recordOf(creation, process.pid))
    start.writePidFile(process.pid)
  } catch (error) {
    process.abandon()
    creation.cgroup.remove()
    throw error
  }
  process.leaveWaiting()
  // The container stays: only what is this process's own is given back.
  cleanup.move()
  return 0
}

export function runVerb(containers: Containers, flags: ParsedFlags): number {
  using cleanup = new DisposableStack()
  const creation = prepare(containers, flags, flags.is('detach'))
  cleanup.defer(reserve(creation))
  using start = new ProcessStart(creation.spec.process!, creation.options, containers.log)
  if (!flags.is('no-subreaper')) becomeSubreaper()
  using notify = NotifySocket.open(containers, creation.id)
  const process = makeProcess(createSupervised, requestOf(creation, start), containers)
  const record = recordOf(creation, process.pid)
  try {
    start.created(process)
    containers.store.save(record)
  } catch (error) {
    process.abandon()
    creation.cgroup.remove()
    throw error
  }
  letGo(creation, process)
  start.writePidFile(process.pid)
  const state = { ...stateOf(record), status: 'running' as const, pid: record.pid }
  try {
    runHooks('poststart', record.spec.hooks, state, { directory: record.bundle })
  } catch (error) {
    process.abandon()
    destroy(containers, record)
    throw error
  }
  cleanup.move()
  if (creation.options.detached) {
    notify?.untilReady(process)
    return 0
  }
  const end = (): void => {
    if (!flags.is('keep')) destroy(containers, record)
  }
  return start.follow(process, end, notify)
}

function letGo({ cgroup }: Creation, process: SupervisedProcess): void {
  try {
    process.start()
  } catch (error) {
    cgroup.kill(killPatience)
    cgroup.remove()
    throw new NotExecuted(messageOf(error), { cause: error })
  }
}

/** Milliseconds that the processes of a container may take to die. */
const killPatience = 10_000

/** Everything that can be wrong is found here, before anything is changed. */
function prepare(containers: Containers, flags: ParsedFlags, detached: boolean): Creation {
  const { settings } = containers
  const id = checkId(flags.args[0])
  const options = startOptions(flags, { detached, inherited: settings.inherited, activated: true })
  containers.store.refuseKnown(id)
  const bundle = enterBundle(flags.text('bundle'))
  const given = readSpec(bundle)
  const rootfs = rootOf(given, bundle)
  checkTerminal(given.process?.terminal === true, options)
  const spec = completed(given, bundle, (sentence) => containers.log.warn(sentence))
  checkConfig(spec, containers)
  const cgroupRecord = containers.chooseGroup(id, given)
  const cgroup = containers.group(cgroupRecord)
  if (cgroupRecord.kind !== 'none') refuseOccupied(cgroup)
  const notified = notifyTarget() === undefined ? spec : withNotifySocket(spec, containers.store.notifyDirectory(id))
  const whole = { ...notified, process: withActivation(notified.process!, options) }
  return { containers, id, bundle, rootfs, spec: whole, cgroup, cgroupRecord, flags, options }
}

function checkConfig(spec: OciSpec, { host }: Containers): void {
  try {
    validate(spec)
    if (host.version === 1 && Object.keys(spec.linux?.resources?.unified ?? {}).length > 0)
      throw new EngineError('invalid', 'linux.resources.unified: settings by file need cgroup v2')
  } catch (error) {
    if (error instanceof EngineError)
      throw new EngineError(error.kind, `invalid configuration: ${error.message}`, { cause: error })
    throw error
  }
}

/** Its limits and its freezer would be those of somebody else's processes, too. */
function refuseOccupied(cgroup: Cgroup): void {
  const count = cgroup.processes().length
  if (count > 0) throw new EngineError('conflict', `container's cgroup is not empty: ${count} process(es) found`)
  if (cgroup.frozen()) throw new EngineError('conflict', "container's cgroup unexpectedly frozen")
}

/** Takes the identifier; the returned function gives it back. */
function reserve({ containers, id, cgroupRecord }: Creation): () => void {
  const { store } = containers
  store.reserve(id, { cgroup: cgroupRecord })
  try {
    if (notifyTarget() !== undefined) store.makeNotifyDirectory(id)
  } catch (error) {
    store.forget(id)
    throw error
  }
  return () => store.forget(id)
}

function requestOf(creation: Creation, start: ProcessStart, gate?: number): CreateRequest {
  const { containers, id, bundle, spec, cgroup, flags, options } = creation
  return {
    id,
    spec,
    bundle,
    rootMounts: [],
    cgroup,
    supervised: false,
    warn: (sentence) => containers.log.warn(sentence),
    ...(options.preserved === 0 ? {} : { preserved: options.preserved }),
    unprivileged: containers.settings.rootless,
    ...(start.streams === undefined ? {} : { streams: start.streams }),
    ...(gate === undefined ? {} : { gate }),
    ...keyringOf(creation),
    ...(flags.is('no-pivot') ? { noPivot: true } : {}),
  }
}

function makeProcess<Process extends SupervisedProcess>(
  create: (request: CreateRequest) => Process,
  request: CreateRequest,
  { log }: Containers,
): Process {
  const { spec } = request
  try {
    log.debug('nsexec container setup: forking the container’s process')
    forgetAffinity()
    const process = create(request)
    log.debug(`child process in init(): ${process.pid}`)
    for (const [name, milliseconds] of process.steps) log.debug(`init: ${name}: ${milliseconds.toFixed(2)} ms`)
    const filter = filterOf(spec)
    if (filter !== undefined) log.debug(`seccomp filter flags: ${filter.flags}`)
    log.debug('init: closing the pipe to signal completion')
    return process
  } catch (error) {
    throw failedToStart(withSchedulerHint(error, spec))
  }
}

/** sched_setattr(2): a deadline cannot be kept on some of the processors only. */
function withSchedulerHint(error: unknown, { process, linux }: OciSpec): unknown {
  if (process?.scheduler === undefined || linux?.resources?.cpu?.cpus === undefined) return error
  if (!/process\.scheduler.*EPERM/.test(messageOf(error))) return error
  return new Error(`process scheduler can't be used together with AllowedCPUs: ${messageOf(error)}`, { cause: error })
}

const failedToStart = (error: unknown): EngineError =>
  new EngineError('internal', `unable to start container process: ${messageOf(error)}`, { cause: error })

const keyringOf = ({ flags, id }: Creation): { keyring?: string } =>
  flags.is('no-new-keyring') ? {} : { keyring: `_ses.${id}` }

const recordOf = (creation: Creation, pid: number): ContainerRecord => ({
  ociVersion: creation.spec.ociVersion,
  id: creation.id,
  pid,
  startTime: processStat(pid)?.startTime ?? '',
  bundle: creation.bundle,
  rootfs: creation.rootfs,
  created: timestamp(),
  rootless: creation.containers.settings.rootless,
  cgroup: creation.cgroupRecord,
  ...keyringOf(creation),
  spec: creation.spec,
})
