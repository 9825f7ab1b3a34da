/** What this runtime cannot do is refused by its field, before anything is touched; never ignored. Pure. */
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { mountFlags as ms } from '../kernel/mount.ffi.ts'
import { sysctlNamespace } from '../spec/namespaces.ts'
import { parseNumberList } from '../spec/number-list.ts'
import type { OciIdMapping, OciMount, OciNamespaceType, OciProcess, OciResources, OciSpec } from '../spec/oci.ts'
import { configShape, processConfigShape, resourcesShape } from './config-shape.table.ts'
import { checkShape } from './config-shape.ts'
import { planMount, unfitForBind } from './mount-options.ts'
import { createdKinds, hasNamespace } from './namespaces.ts'

/** What is wrong with the value, or undefined. */
type Rule<Part> = readonly [field: string, complaint: (part: Part) => string | undefined]

const when = (broken: boolean, sentence: string): string | undefined => (broken ? sentence : undefined)

const hasTwins = (values: readonly unknown[]): boolean => new Set(values).size !== values.length

const makes = (spec: OciSpec, type: OciNamespaceType): boolean => createdKinds(spec).has(type)

const isSet = (text: string | undefined): boolean => text !== undefined && text !== ''

function listComplaint(text: string | undefined): string | undefined {
  try {
    parseNumberList(text ?? '')
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const processRules: readonly Rule<OciProcess>[] = [
  ['process.args', ({ args }) => when(args === undefined || args.length === 0, 'no command specified')],
  [
    'process.env',
    ({ env = [] }) => {
      const bad = env.find((entry) => entry.indexOf('=') < 1)
      return bad === undefined ? undefined : `${JSON.stringify(bad)} is not of the form NAME=value`
    },
  ],
  ['process.rlimits', ({ rlimits = [] }) => when(hasTwins(rlimits.map(({ type }) => type)), 'name one type twice')],
  [
    'process.scheduler.nice',
    ({ scheduler }) =>
      when(
        (scheduler?.nice ?? 0) !== 0 && !['SCHED_OTHER', 'SCHED_BATCH'].includes(scheduler!.policy),
        'is for SCHED_OTHER and SCHED_BATCH',
      ),
  ],
  [
    'process.scheduler.priority',
    ({ scheduler }) =>
      when(
        (scheduler?.priority ?? 0) !== 0 && !['SCHED_FIFO', 'SCHED_RR'].includes(scheduler!.policy),
        'is for SCHED_FIFO and SCHED_RR',
      ),
  ],
  [
    'process.scheduler',
    ({ scheduler: { policy, runtime = 0, deadline = 0, period = 0 } = { policy: '' } }) =>
      when(
        policy !== 'SCHED_DEADLINE' && runtime + deadline + period > 0,
        'runtime, deadline and period are for SCHED_DEADLINE',
      ),
  ],
  ['process.execCPUAffinity.initial', ({ execCPUAffinity }) => listComplaint(execCPUAffinity?.initial)],
  ['process.execCPUAffinity.final', ({ execCPUAffinity }) => listComplaint(execCPUAffinity?.final)],
]

const specRules: readonly Rule<OciSpec>[] = [
  ['process', ({ process }) => when(process === undefined, 'is needed to create a container')],
  ['root.path', ({ root }) => when(root.path === '', 'must not be empty')],
  ['hostname', (spec) => when(isSet(spec.hostname) && !hasNamespace(spec, 'uts'), 'needs a UTS namespace of its own')],
  [
    'domainname',
    (spec) => when(isSet(spec.domainname) && !hasNamespace(spec, 'uts'), 'needs a UTS namespace of its own'),
  ],
  [
    'linux.namespaces',
    (spec) => when(hasTwins(spec.linux?.namespaces?.map(({ type }) => type) ?? []), 'name one type twice'),
  ],
  [
    'linux.timeOffsets',
    (spec) =>
      when(
        spec.linux?.timeOffsets !== undefined && !makes(spec, 'time'),
        "need a time namespace of the container's own",
      ),
  ],
  ['linux.uidMappings', (spec) => mappingsComplaint(spec, spec.linux?.uidMappings)],
  ['linux.gidMappings', (spec) => mappingsComplaint(spec, spec.linux?.gidMappings)],
  ['linux.sysctl', sysctlComplaint],
  ['linux.devices', ({ linux }) => deviceComplaint(linux?.devices)],
  ['linux.netDevices', netDeviceComplaint],
  ['linux.personality.flags', ({ linux }) => when((linux?.personality?.flags ?? []).length > 0, 'no flag is known')],
  ['linux.memoryPolicy.nodes', ({ linux }) => listComplaint(linux?.memoryPolicy?.nodes)],
  [
    'linux.intelRdt',
    ({ linux }) => when(linux?.intelRdt !== undefined, 'needs a resctrl file system, which is not supported'),
  ],
  ['linux.mountLabel', ({ linux }) => when(isSet(linux?.mountLabel), 'needs SELinux, which is not supported')],
  [
    'linux.seccomp.listenerPath',
    ({ linux }) =>
      when(!isSet(linux?.seccomp?.listenerPath) && asksListener(linux?.seccomp), 'is needed for SCMP_ACT_NOTIFY'),
  ],
  [
    'linux.seccomp.listenerMetadata',
    ({ linux }) =>
      when(
        !isSet(linux?.seccomp?.listenerPath) && isSet(linux?.seccomp?.listenerMetadata),
        'must not be set without listenerPath',
      ),
  ],
]

const asksListener = (seccomp: NonNullable<OciSpec['linux']>['seccomp']): boolean =>
  seccomp?.syscalls?.some(({ action }) => action === 'SCMP_ACT_NOTIFY') === true

function mappingsComplaint(spec: OciSpec, mappings: readonly OciIdMapping[] = []): string | undefined {
  if (makes(spec, 'user')) return when(mappings.length === 0, 'are needed for a user namespace')
  return when(mappings.length > 0 && !hasNamespace(spec, 'user'), 'need a user namespace')
}

function sysctlComplaint(spec: OciSpec): string | undefined {
  for (const name of Object.keys(spec.linux?.sysctl ?? {})) {
    const type = sysctlNamespace(name)
    if (type === undefined || !hasNamespace(spec, type)) return `${name} is not in a separate kernel namespace`
    if (/^kernel[./]hostname$/.test(name) && isSet(spec.hostname)) return `${name} conflicts with hostname`
    if (/^kernel[./]domainname$/.test(name) && isSet(spec.domainname)) return `${name} conflicts with domainname`
  }
  return undefined
}

/** netdevice(7): at most 15 bytes, no blank, no `/` and no `:`. A `%` would be a pattern to the kernel. */
const deviceName = /^(?!\.{1,2}$)[^\s/:%]{1,15}$/

function netDeviceComplaint(spec: OciSpec): string | undefined {
  const devices = Object.entries(spec.linux?.netDevices ?? {})
  if (devices.length > 0 && !hasNamespace(spec, 'network')) return 'needs a network namespace'
  const wanted = devices.map(([name, { name: other = '' }]) => (other === '' ? name : other))
  const bad = [...devices.map(([name]) => name), ...wanted].find((name) => !deviceName.test(name))
  if (bad !== undefined) return `${JSON.stringify(bad)} is no name of a device`
  return when(hasTwins(wanted), 'give one name twice')
}

const deviceComplaint = (devices: NonNullable<OciSpec['linux']>['devices'] = []): string | undefined => {
  const bad = devices.find(({ type, major, minor }) => type !== 'p' && (major === undefined || minor === undefined))
  return bad === undefined ? undefined : `${bad.path} needs major and minor numbers`
}

function mountComplaint(mount: OciMount, spec: OciSpec): string | undefined {
  const { uidMappings = [], gidMappings = [], options = [], type } = mount
  if (uidMappings.length > 0 !== gidMappings.length > 0) return 'uidMappings and gidMappings go together'
  const plan = planMount(options)
  const maps = plan.idmap !== undefined || uidMappings.length > 0
  if (maps && !plan.bind && type !== 'bind') return 'only a bind mount can map owners'
  if (maps && uidMappings.length === 0 && !hasNamespace(spec, 'user'))
    return `idmap without uidMappings takes those of the container's user namespace, and it has none`
  if (posix.normalize(`/${mount.destination}`) === '/') return 'the root itself cannot be covered'
  const bind = plan.bind || type === 'bind'
  if (bind && mount.source === undefined && (plan.flags & ms.MS_REMOUNT) === 0) return 'a bind mount needs a source'
  const unfit = bind ? unfitForBind(plan) : []
  if (unfit.length > 0) return `a bind mount has the options of its file system, and cannot have ${unfit.join(', ')}`
  return when(plan.copyUp && type !== 'tmpfs', 'tmpcopyup is for tmpfs')
}

function check<Part>(rules: readonly Rule<Part>[], part: Part): void {
  for (const [field, complaint] of rules) {
    const sentence = complaint(part)
    if (sentence !== undefined) throw new EngineError('invalid', `${field}: ${sentence}`)
  }
}

export function validate(spec: OciSpec): void {
  checkShape('', spec, configShape)
  check(specRules, spec)
  check(processRules, spec.process!)
  for (const [index, mount] of (spec.mounts ?? []).entries()) {
    const sentence = mountComplaint(mount, spec)
    if (sentence !== undefined) throw new EngineError('invalid', `mounts[${index}] (${mount.destination}): ${sentence}`)
  }
}

/** Of a process that joins a container. */
export function validateProcess(process: OciProcess): void {
  checkShape('process', process, processConfigShape)
  check(processRules, process)
}

/** Of an update. */
export function validateResources(resources: OciResources): void {
  checkShape('linux.resources', resources, resourcesShape)
}
