/** The OCI runtime configuration (runtime-spec 1.3, config.md and config-linux.md) as data: the parts Linux uses. */

export type OciNamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time'

export type OciMount = {
  destination: string
  type?: string
  source?: string
  options?: string[]
  uidMappings?: OciIdMapping[]
  gidMappings?: OciIdMapping[]
}

export type OciIdMapping = { containerID: number; hostID: number; size: number }

export type OciUser = { uid: number; gid: number; umask?: number; additionalGids?: number[] }

export type OciCapabilities = {
  bounding?: string[]
  effective?: string[]
  inheritable?: string[]
  permitted?: string[]
  ambient?: string[]
}

export type OciRlimit = { type: string; hard: number; soft: number }

export type OciProcess = {
  terminal?: boolean
  consoleSize?: { height: number; width: number }
  user: OciUser
  args: string[]
  env?: string[]
  cwd: string
  capabilities?: OciCapabilities
  rlimits?: OciRlimit[]
  noNewPrivileges?: boolean
  apparmorProfile?: string
  selinuxLabel?: string
  oomScoreAdj?: number
  scheduler?: {
    policy: string
    nice?: number
    priority?: number
    flags?: string[]
    /** Nanoseconds. */
    runtime?: number
    deadline?: number
    period?: number
  }
  ioPriority?: { class: string; priority?: number }
  /** Lists as `0-3,7`. Of processes that join the container, not of its first. */
  execCPUAffinity?: { initial?: string; final?: string }
}

export type OciDevice = {
  type: 'c' | 'b' | 'u' | 'p'
  path: string
  major?: number
  minor?: number
  fileMode?: number
  uid?: number
  gid?: number
}

export type OciDeviceRule = {
  allow: boolean
  type?: 'a' | 'c' | 'b'
  /** Absent: any. */
  major?: number
  minor?: number
  /** Letters of `rwm`; absent: all three. */
  access?: string
}

export type OciThrottle = { major: number; minor: number; rate: number }

/** config-linux.md, "Control groups". Sizes in bytes, times in microseconds. */
export type OciResources = {
  devices?: OciDeviceRule[]
  memory?: {
    limit?: number
    reservation?: number
    /** Memory plus swap, as cgroup v1 counts; -1 is no limit. */
    swap?: number
    swappiness?: number
    disableOOMKiller?: boolean
    /** Not kept any more by any kernel, nor by runc. */
    kernel?: number
    kernelTCP?: number
    useHierarchy?: boolean
    /** Refuse a limit below what is in use, as cgroup v1 does by itself. */
    checkBeforeUpdate?: boolean
  }
  cpu?: {
    shares?: number
    quota?: number
    period?: number
    /** May be used beyond the quota, saved from earlier periods. */
    burst?: number
    /** 1: SCHED_IDLE for the whole group. */
    idle?: number
    realtimeRuntime?: number
    realtimePeriod?: number
    cpus?: string
    mems?: string
  }
  pids?: { limit: number }
  blockIO?: {
    weight?: number
    leafWeight?: number
    weightDevice?: { major: number; minor: number; weight?: number; leafWeight?: number }[]
    throttleReadBpsDevice?: OciThrottle[]
    throttleWriteBpsDevice?: OciThrottle[]
    throttleReadIOPSDevice?: OciThrottle[]
    throttleWriteIOPSDevice?: OciThrottle[]
  }
  hugepageLimits?: { pageSize: string; limit: number }[]
  /** cgroup v1's net_cls and net_prio. */
  network?: { classID?: number; priorities?: { name: string; priority: number }[] }
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>
  unified?: Record<string, string>
}

/** Unsigned 64 bit: what a number of JavaScript cannot hold exactly is a bigint. */
export type OciSeccompArgument = { index: number; value: number | bigint; valueTwo?: number | bigint; op: string }

export type OciSeccomp = {
  defaultAction: string
  defaultErrnoRet?: number
  architectures?: string[]
  flags?: string[]
  listenerPath?: string
  listenerMetadata?: string
  syscalls?: { names: string[]; action: string; errnoRet?: number; args?: OciSeccompArgument[] }[]
}

export type OciHook = { path: string; args?: string[]; env?: string[]; timeout?: number }

export type OciHooks = Partial<
  Record<'prestart' | 'createRuntime' | 'createContainer' | 'startContainer' | 'poststart' | 'poststop', OciHook[]>
>

export type OciLinux = {
  namespaces?: { type: OciNamespaceType; path?: string }[]
  uidMappings?: OciIdMapping[]
  gidMappings?: OciIdMapping[]
  netDevices?: Record<string, { name?: string }>
  timeOffsets?: Record<string, { secs?: number; nanosecs?: number }>
  devices?: OciDevice[]
  cgroupsPath?: string
  resources?: OciResources
  rootfsPropagation?: string
  seccomp?: OciSeccomp
  sysctl?: Record<string, string>
  maskedPaths?: string[]
  readonlyPaths?: string[]
  mountLabel?: string
  personality?: { domain: string; flags?: string[] }
  memoryPolicy?: { mode: string; nodes?: string; flags?: string[] }
  intelRdt?: {
    closID?: string
    schemata?: string[]
    l3CacheSchema?: string
    memBwSchema?: string
    enableMonitoring?: boolean
  }
}

export type OciSpec = {
  ociVersion: string
  hostname?: string
  domainname?: string
  root: { path: string; readonly?: boolean }
  process?: OciProcess
  mounts?: OciMount[]
  hooks?: OciHooks
  linux?: OciLinux
  annotations?: Record<string, string>
}
