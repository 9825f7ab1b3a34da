/**
 * A container as it is kept in the database. Config, HostConfig and the endpoint settings have the shape and names of the
 * Docker Engine API 1.51 (that shape is what users stored in them); everything else is ours.
 */

import type { ImageRunConfig } from '../images/image.ts'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import type { Endpoint, PortBinding } from '../network/network.ts'
import type { Limits } from '../spec/limits.ts'

export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'removing' | 'dead'

export type ContainerConfig = ImageRunConfig & {
  Hostname?: string
  Domainname?: string
  AttachStdin?: boolean
  AttachStdout?: boolean
  AttachStderr?: boolean
  Tty?: boolean
  OpenStdin?: boolean
  StdinOnce?: boolean
  /** The reference as the user gave it. */
  Image: string
  MacAddress?: string
  NetworkDisabled?: boolean
}

export type MountSpec = {
  Type: 'bind' | 'volume' | 'tmpfs' | 'image'
  Source?: string
  Target: string
  ReadOnly?: boolean
  Consistency?: string
  BindOptions?: {
    Propagation?: string
    NonRecursive?: boolean
    CreateMountpoint?: boolean
    ReadOnlyNonRecursive?: boolean
    ReadOnlyForceRecursive?: boolean
  }
  VolumeOptions?: {
    NoCopy?: boolean
    Labels?: Record<string, string>
    DriverConfig?: { Name?: string; Options?: Record<string, string> }
    Subpath?: string
  }
  TmpfsOptions?: { SizeBytes?: number; Mode?: number; Options?: string[][] }
  ImageOptions?: { Subpath?: string }
}

/** Limits: the part of HostConfig that `update` can change. */
export type ContainerResources = Limits & {
  CgroupParent?: string
  Devices?: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[]
  DeviceCgroupRules?: string[]
  Ulimits?: { Name: string; Soft: number; Hard: number }[]
  DeviceRequests?: { Driver?: string; Capabilities?: string[][] }[]
  KernelMemoryTCP?: number
  CpuCount?: number
  CpuPercent?: number
  IOMaximumIOps?: number
  IOMaximumBandwidth?: number
}

export type RestartPolicy = { Name: '' | 'no' | 'always' | 'unless-stopped' | 'on-failure'; MaximumRetryCount?: number }

export type HostConfig = ContainerResources & {
  Binds?: string[]
  Mounts?: MountSpec[]
  Tmpfs?: Record<string, string>
  VolumesFrom?: string[]
  VolumeDriver?: string
  Links?: string[]
  StorageOpt?: Record<string, string>
  Isolation?: string
  Cgroup?: string
  ContainerIDFile?: string
  LogConfig?: { Type?: string; Config?: Record<string, string> }
  NetworkMode?: string
  PortBindings?: Record<string, PortBinding[] | null>
  PublishAllPorts?: boolean
  RestartPolicy?: RestartPolicy
  AutoRemove?: boolean
  CapAdd?: string[]
  CapDrop?: string[]
  CgroupnsMode?: string
  Dns?: string[]
  DnsOptions?: string[]
  DnsSearch?: string[]
  ExtraHosts?: string[]
  GroupAdd?: string[]
  IpcMode?: string
  OomScoreAdj?: number
  PidMode?: string
  Privileged?: boolean
  ReadonlyRootfs?: boolean
  SecurityOpt?: string[]
  ShmSize?: number
  Sysctls?: Record<string, string>
  UTSMode?: string
  UsernsMode?: string
  Init?: boolean
  Runtime?: string
  Annotations?: Record<string, string>
  ConsoleSize?: [height: number, width: number]
  MaskedPaths?: string[] | null
  ReadonlyPaths?: string[] | null
}

export type EndpointSettings = {
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] } | null
  Links?: string[] | null
  Aliases?: string[] | null
  MacAddress?: string
  DriverOpts?: Record<string, string> | null
  GwPriority?: number
  NetworkID?: string
}

/** A mount as resolved at create time: what inspect shows under `Mounts`. */
export type MountPoint = {
  Type: 'bind' | 'volume' | 'tmpfs' | 'image'
  Name?: string
  /** An image's: the snapshot that is mounted, which belongs to the container. */
  snapshot?: string
  Source: string
  Destination: string
  Driver?: string
  Mode: string
  RW: boolean
  Propagation: string
  /** The user's own spec had no source: `rm -v` takes the volume along. */
  anonymous?: boolean
  /** Files of the source's owner appear as the container's user, and the reverse; mount_setattr(2) MOUNT_ATTR_IDMAP. */
  mapOwner?: boolean
  /** With whose rights a bind's source is reached at each start; absent: root's. */
  client?: Credentials
}

export type ProbeResult = {
  /** RFC 3339, nanoseconds, as `end`. */
  start: string
  end: string
  /** -1 where the probe did not end by itself. */
  exitCode: number
  output: string
}

export type Health = {
  status: 'starting' | 'healthy' | 'unhealthy'
  failingStreak: number
  /** The last few, oldest first. */
  log: ProbeResult[]
}

export type RunState = {
  state: ContainerState
  pid: number
  exitCode: number
  error: string
  oomKilled: boolean
  /** RFC 3339, nanoseconds; `0001-01-01T00:00:00Z` before the first time. */
  startedAt: string
  finishedAt: string
  restartCount: number
  /** Stopped by a user: `unless-stopped` leaves it so after the daemon's restart. */
  manuallyStopped: boolean
  /** Of a container with a health check that was started once. */
  health?: Health
}

export type Container = {
  id: string
  /** Without slash. */
  name: string
  created: string
  imageId: string
  config: ContainerConfig
  hostConfig: HostConfig
  /** By network name. */
  networks: Record<string, EndpointSettings>
  /** Live endpoints; empty while stopped. */
  endpoints: Endpoint[]
  mounts: MountPoint[]
  /** Entrypoint and command as they will be executed. */
  path: string
  args: string[]
  /** Empty where nothing is kept. */
  logPath: string
  run: RunState
  hostnamePath: string
  hostsPath: string
  resolvConfPath: string
}
