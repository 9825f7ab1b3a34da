/** A container as an OCI config. Reads the machine (devices, owners of bind sources), changes nothing. */
import { readdirSync } from 'node:fs'
import { build, type SpecStep, together, when } from '../spec/build.ts'
import { defaults } from '../spec/defaults.ts'
import { parseDeviceRule, withDevice, withDeviceRules } from '../spec/devices.ts'
import type { IdMaps } from '../spec/id-maps.ts'
import { withLimits } from '../spec/limits.ts'
import { withForeignSharedMemory, withMounts, withRoot, withSharedMemorySize } from '../spec/mounts.ts'
import {
  withHostNamespace,
  withHostname,
  withNamespace,
  withNetworkSysctls,
  withSysctls,
  withUserNamespace,
} from '../spec/namespaces.ts'
import type { OciDevice, OciSeccomp, OciSpec, OciUser } from '../spec/oci.ts'
import {
  thermalThrottlePaths,
  withCgroupsPath,
  withMaskedPaths,
  withPrivileges,
  withSeccomp,
  withSystemPaths,
} from '../spec/security.ts'
import type { Container, HostConfig } from './container.ts'
import { containerProcess, hostnameOf } from './container-process.ts'
import { hostDevice, thisMachine } from './machine.ts'
import { securityOptions } from './security-options.ts'

export type SpecInputs = {
  /** Absolute; where the init mounts the root file system. */
  rootPath: string
  user: OciUser
  /** Undefined: the host's network, or with `newNetwork` one that is made with the container. */
  netnsPath: string | undefined
  newNetwork: boolean
  /** Of the container's user namespace, new or that of `userPid`; undefined: the machine's. */
  idMaps: IdMaps | undefined
  userPid?: number
  /** Host pids of containers that namespaces are shared with. */
  ipcPid?: number
  pidPid?: number
  mounts: Parameters<typeof withMounts>[0]
  cgroupVersion: 1 | 2
  cgroupsPath: string
  seccomp: OciSeccomp | undefined
  /** Of linked containers; the container's own go before them. */
  variables: readonly string[]
}

export function containerSpec(container: Container, inputs: SpecInputs): OciSpec {
  const { hostConfig } = container
  const security = securityOptions(hostConfig.SecurityOpt ?? [])
  const privileged = hostConfig.Privileged === true
  const base: OciSpec = { ...defaults(), process: containerProcess(container, inputs.user, inputs.variables) }
  return build(
    base,
    withRoot(inputs.rootPath, { readonly: hostConfig.ReadonlyRootfs === true }),
    namespaceSteps(container, inputs),
    withMaskedPaths(thermalThrottlePaths(thisMachine().processors)),
    systemPathSteps(hostConfig, security.openSystemPaths),
    withLimits(hostConfig, thisMachine()),
    deviceSteps(hostConfig),
    when(privileged, withPrivileges(privileged ? hostDevices() : [])),
    when(inputs.seccomp !== undefined, withSeccomp(inputs.seccomp as OciSeccomp)),
    withSharedMemorySize(hostConfig.ShmSize ?? 64 * 1024 * 1024),
    sharedMemory(hostConfig.IpcMode, inputs.ipcPid),
    withMounts(inputs.mounts),
    withCgroupsPath(inputs.cgroupsPath),
    (spec) => ({ ...spec, ...(hostConfig.Annotations === undefined ? {} : { annotations: hostConfig.Annotations }) }),
  )
}

function systemPathSteps(host: HostConfig, open: boolean): SpecStep {
  if (open) return withSystemPaths([], [])
  return (spec) =>
    withSystemPaths(
      host.MaskedPaths ?? spec.linux?.maskedPaths ?? [],
      host.ReadonlyPaths ?? spec.linux?.readonlyPaths ?? [],
    )(spec)
}

function namespaceSteps(container: Container, inputs: SpecInputs): SpecStep {
  const { config, hostConfig } = container
  const ownNetwork = inputs.netnsPath !== undefined || inputs.newNetwork
  const joinsNetwork = hostConfig.NetworkMode?.startsWith('container:') === true
  const hostUts = hostConfig.UTSMode === 'host'
  const cgroupPrivate = (hostConfig.CgroupnsMode || (inputs.cgroupVersion === 2 ? 'private' : 'host')) === 'private'
  return together(
    userStep(inputs),
    ownNetwork ? withNamespace('network') : withHostNamespace('network'),
    shared('ipc', hostConfig.IpcMode, inputs.ipcPid),
    shared('pid', hostConfig.PidMode, inputs.pidPid),
    hostUts ? withHostNamespace('uts') : withHostname(hostnameOf(container), config.Domainname ?? ''),
    cgroupPrivate ? withNamespace('cgroup') : withHostNamespace('cgroup'),
    withSysctls(hostConfig.Sysctls ?? {}),
    // Of a namespace that another container set up, the settings are that one's.
    when(ownNetwork && !joinsNetwork, withNetworkSysctls()),
    // The namespace is made by the network layer; only now that its settings are chosen it gets its path.
    when(inputs.netnsPath !== undefined, withNamespace('network', inputs.netnsPath)),
  )
}

/** Before the others: what can be set in them depends on it. */
function userStep({ idMaps, userPid }: SpecInputs): SpecStep {
  if (idMaps === undefined) return (spec) => spec
  return together(
    withUserNamespace(idMaps.uids, idMaps.gids),
    when(userPid !== undefined, withNamespace('user', `/proc/${userPid}/ns/user`)),
  )
}

/** What goes with the IPC namespace: /dev/shm is where shm_open(3) looks. */
function sharedMemory(mode: string | undefined, ipcPid: number | undefined): SpecStep {
  if (mode === 'none') return withForeignSharedMemory(undefined)
  if (mode === 'host') return withForeignSharedMemory('/dev/shm')
  return when(ipcPid !== undefined, withForeignSharedMemory(`/proc/${ipcPid}/root/dev/shm`))
}

function shared(type: 'ipc' | 'pid', mode: string | undefined, pid: number | undefined): SpecStep {
  if (mode === 'host') return withHostNamespace(type)
  return pid === undefined ? withNamespace(type) : withNamespace(type, `/proc/${pid}/ns/${type}`)
}

const deviceSteps = (host: HostConfig): SpecStep =>
  together(
    ...(host.Devices ?? []).flatMap(({ PathOnHost, PathInContainer, CgroupPermissions }) =>
      devicesAt(PathOnHost, PathInContainer || PathOnHost).map((device) => withDevice(device, CgroupPermissions ?? '')),
    ),
    withDeviceRules((host.DeviceCgroupRules ?? []).map(parseDeviceRule)),
  )

/** A device, or with a directory all devices right below it. */
function devicesAt(path: string, inContainer: string): OciDevice[] {
  const device = hostDevice(path, inContainer)
  if (device !== undefined) return [device]
  return readdirSync(path).flatMap((name) => hostDevice(`${path}/${name}`, `${inContainer}/${name}`) ?? [])
}

/** The terminal, shared memory and message queues are each container's own. */
const notShared = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console'])

function hostDevices(path = '/dev'): OciDevice[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const child = `${path}/${entry.name}`
    if (entry.isDirectory()) return notShared.has(entry.name) ? [] : hostDevices(child)
    if (!(entry.isBlockDevice() || entry.isCharacterDevice()) || notShared.has(entry.name)) return []
    return hostDevice(child) ?? []
  })
}
