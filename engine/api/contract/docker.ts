/**
 * The Docker Engine API 1.51 as its clients see it: requests and answers, field names as on the wire. Plain types without
 * imports, so that the extension and other clients can use them. Times are RFC 3339 in UTC, sizes bytes, unless said.
 */

export type ErrorAnswer = { message: string }

export type Healthcheck = {
  /** `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`; empty inherits. */
  Test?: string[]
  /** Nanoseconds, as all durations here. */
  Interval?: number
  Timeout?: number
  StartPeriod?: number
  StartInterval?: number
  Retries?: number
}

export type ContainerConfig = {
  Hostname?: string
  Domainname?: string
  User?: string
  AttachStdin?: boolean
  AttachStdout?: boolean
  AttachStderr?: boolean
  ExposedPorts?: Record<string, object>
  Tty?: boolean
  OpenStdin?: boolean
  StdinOnce?: boolean
  Env?: string[] | null
  Cmd?: string[] | null
  Entrypoint?: string[] | null
  Healthcheck?: Healthcheck
  Image?: string
  Volumes?: Record<string, object> | null
  WorkingDir?: string
  NetworkDisabled?: boolean
  MacAddress?: string
  OnBuild?: string[] | null
  Labels?: Record<string, string> | null
  StopSignal?: string
  /** Seconds. */
  StopTimeout?: number
  Shell?: string[]
}

export type PortBinding = { HostIp: string; HostPort: string }
export type RestartPolicy = { Name: string; MaximumRetryCount?: number }

/** Bytes or operations a second. */
export type Throttle = { Path: string; Rate: number }

/** What `update` can change. 0 or absent: no limit. */
export type Resources = {
  Memory?: number
  MemorySwap?: number
  MemoryReservation?: number
  MemorySwappiness?: number | null
  OomKillDisable?: boolean | null
  /** 1e-9 processors. */
  NanoCpus?: number
  CpuShares?: number
  CpuPeriod?: number
  CpuQuota?: number
  CpuRealtimePeriod?: number
  CpuRealtimeRuntime?: number
  CpusetCpus?: string
  CpusetMems?: string
  PidsLimit?: number | null
  BlkioWeight?: number
  BlkioWeightDevice?: { Path: string; Weight: number }[] | null
  BlkioDeviceReadBps?: Throttle[] | null
  BlkioDeviceWriteBps?: Throttle[] | null
  BlkioDeviceReadIOps?: Throttle[] | null
  BlkioDeviceWriteIOps?: Throttle[] | null
  /** Of Windows: 0. */
  CpuCount?: number
  CpuPercent?: number
  IOMaximumIOps?: number
  IOMaximumBandwidth?: number
  DeviceRequests?: { Driver?: string; Capabilities?: string[][] }[] | null
  CgroupParent?: string
  Devices?: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[] | null
  DeviceCgroupRules?: string[] | null
  Ulimits?: { Name: string; Soft: number; Hard: number }[] | null
}

export type MountRequest = {
  Type: string
  Source?: string
  Target: string
  ReadOnly?: boolean
  Consistency?: string
  BindOptions?: { Propagation?: string; NonRecursive?: boolean; CreateMountpoint?: boolean }
  VolumeOptions?: { NoCopy?: boolean; Labels?: Record<string, string>; Subpath?: string }
  TmpfsOptions?: { SizeBytes?: number; Mode?: number; Options?: string[][] }
  ImageOptions?: { Subpath?: string }
}

export type HostConfig = Resources & {
  Binds?: string[] | null
  Mounts?: MountRequest[]
  Tmpfs?: Record<string, string>
  VolumesFrom?: string[] | null
  VolumeDriver?: string
  Links?: string[] | null
  Cgroup?: string
  Isolation?: string
  ContainerIDFile?: string
  LogConfig?: { Type?: string; Config?: Record<string, string> | null }
  NetworkMode?: string
  PortBindings?: Record<string, PortBinding[] | null> | null
  PublishAllPorts?: boolean
  RestartPolicy?: RestartPolicy
  AutoRemove?: boolean
  CapAdd?: string[] | null
  CapDrop?: string[] | null
  CgroupnsMode?: string
  Dns?: string[] | null
  DnsOptions?: string[] | null
  DnsSearch?: string[] | null
  ExtraHosts?: string[] | null
  GroupAdd?: string[] | null
  IpcMode?: string
  OomScoreAdj?: number
  PidMode?: string
  Privileged?: boolean
  ReadonlyRootfs?: boolean
  SecurityOpt?: string[] | null
  ShmSize?: number
  Sysctls?: Record<string, string>
  UTSMode?: string
  UsernsMode?: string
  Init?: boolean | null
  Runtime?: string
  Annotations?: Record<string, string>
  ConsoleSize?: number[]
  MaskedPaths?: string[] | null
  ReadonlyPaths?: string[] | null
}

export type EndpointSettings = {
  IPAMConfig: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] } | null
  Links: string[] | null
  Aliases: string[] | null
  MacAddress: string
  DriverOpts: Record<string, string> | null
  GwPriority: number
  NetworkID: string
  EndpointID: string
  Gateway: string
  IPAddress: string
  IPPrefixLen: number
  IPv6Gateway: string
  GlobalIPv6Address: string
  GlobalIPv6PrefixLen: number
  DNSNames: string[] | null
}

/** `POST /containers/create?name=&platform=` */
export type CreateContainerRequest = ContainerConfig & {
  HostConfig?: HostConfig
  NetworkingConfig?: { EndpointsConfig?: Record<string, Partial<EndpointSettings>> }
}
export type CreateContainerAnswer = { Id: string; Warnings: string[] }

export type Port = { IP?: string; PrivatePort: number; PublicPort?: number; Type: string }

export type MountPoint = {
  Type: string
  Name?: string
  Source: string
  Destination: string
  Driver?: string
  Mode: string
  RW: boolean
  Propagation: string
}

/** `GET /containers/json` */
export type ContainerSummary = {
  Id: string
  /** Each with a leading slash. */
  Names: string[]
  Image: string
  ImageID: string
  Command: string
  /** Seconds since the epoch. */
  Created: number
  Ports: Port[]
  SizeRw?: number
  SizeRootFs?: number
  Labels: Record<string, string>
  State: string
  Status: string
  HostConfig: { NetworkMode: string; Annotations?: Record<string, string> }
  NetworkSettings: { Networks: Record<string, EndpointSettings> }
  Mounts: MountPoint[]
}

/** The last five probes, oldest first; ExitCode -1: it did not end by itself. */
export type Health = {
  Status: 'starting' | 'healthy' | 'unhealthy'
  FailingStreak: number
  Log: { Start: string; End: string; ExitCode: number; Output: string }[]
}

export type ContainerState = {
  Status: string
  Running: boolean
  Paused: boolean
  Restarting: boolean
  OOMKilled: boolean
  Dead: boolean
  Pid: number
  ExitCode: number
  Error: string
  StartedAt: string
  FinishedAt: string
  /** Absent where there is no health check. */
  Health?: Health
}

/** `GET /containers/{id}/json` */
export type ContainerInspect = {
  Id: string
  Created: string
  Path: string
  Args: string[]
  State: ContainerState
  Image: string
  ResolvConfPath: string
  HostnamePath: string
  HostsPath: string
  LogPath: string
  Name: string
  RestartCount: number
  Driver: string
  Platform: string
  MountLabel: string
  ProcessLabel: string
  AppArmorProfile: string
  ExecIDs: string[] | null
  HostConfig: HostConfig
  GraphDriver: { Name: string; Data: Record<string, string> | null }
  SizeRw?: number
  SizeRootFs?: number
  Mounts: MountPoint[]
  Config: ContainerConfig
  NetworkSettings: {
    Bridge: string
    SandboxID: string
    SandboxKey: string
    Ports: Record<string, PortBinding[] | null>
    HairpinMode: boolean
    LinkLocalIPv6Address: string
    LinkLocalIPv6PrefixLen: number
    SecondaryIPAddresses: null
    SecondaryIPv6Addresses: null
    EndpointID: string
    Gateway: string
    GlobalIPv6Address: string
    GlobalIPv6PrefixLen: number
    IPAddress: string
    IPPrefixLen: number
    IPv6Gateway: string
    MacAddress: string
    Networks: Record<string, EndpointSettings>
  }
}

export type WaitAnswer = { StatusCode: number; Error?: { Message: string } }
export type UpdateRequest = Resources & { RestartPolicy?: RestartPolicy }
export type UpdateAnswer = { Warnings: string[] }
export type TopAnswer = { Titles: string[]; Processes: string[][] }
/** 0 modified, 1 added, 2 deleted. */
export type Change = { Path: string; Kind: 0 | 1 | 2 }

export type CreateExecRequest = {
  AttachStdin?: boolean
  AttachStdout?: boolean
  AttachStderr?: boolean
  Tty?: boolean
  Cmd?: string[]
  Env?: string[]
  User?: string
  WorkingDir?: string
  Privileged?: boolean
  DetachKeys?: string
  /** Height first. */
  ConsoleSize?: number[]
}
export type CreateExecAnswer = { Id: string }
export type StartExecRequest = { Detach?: boolean; Tty?: boolean; ConsoleSize?: number[] }

/** `GET /exec/{id}/json` */
export type ExecInspect = {
  ID: string
  Running: boolean
  /** Null while it runs. */
  ExitCode: number | null
  ProcessConfig: { entrypoint: string; arguments: string[]; tty: boolean; privileged: boolean; user: string }
  OpenStdin: boolean
  OpenStdout: boolean
  OpenStderr: boolean
  CanRemove: boolean
  ContainerID: string
  DetachKeys: string
  Pid: number
}

export type BlkioEntry = { major: number; minor: number; op: string; value: number }

export type CpuStats = {
  cpu_usage: {
    total_usage: number
    percpu_usage?: number[]
    usage_in_kernelmode: number
    usage_in_usermode: number
  }
  system_cpu_usage?: number
  online_cpus?: number
  throttling_data: { periods: number; throttled_periods: number; throttled_time: number }
}

export type MemoryStats = {
  usage?: number
  max_usage?: number
  stats?: Record<string, number>
  failcnt?: number
  limit?: number
}

/** `GET /containers/{id}/stats`: one, or one a line each second. */
export type Stats = {
  name: string
  id: string
  read: string
  preread: string
  pids_stats: { current?: number; limit?: number }
  blkio_stats: Record<string, BlkioEntry[] | null>
  num_procs: number
  storage_stats: object
  cpu_stats: CpuStats
  precpu_stats: CpuStats
  memory_stats: MemoryStats
  networks?: Record<string, Record<string, number>>
}

/** `GET /events`, one a line. */
export type Event = {
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  scope: string
  /** Seconds. */
  time: number
  timeNano: number
  status?: string
  id?: string
  from?: string
}

/** A line of a pull, push, load or build stream. */
export type ProgressLine = {
  status?: string
  stream?: string
  id?: string
  progressDetail?: { current?: number; total?: number }
  aux?: unknown
  error?: string
  errorDetail?: { message: string }
}

export type PruneContainersAnswer = { ContainersDeleted: string[] | null; SpaceReclaimed: number }
