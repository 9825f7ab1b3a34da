/** Request bodies about containers, as Go would read them. Meanings are checked by the lifecycle. */
import * as z from 'zod'
import type { ContainerConfig, HostConfig } from '../lifecycle/container.ts'
import { goObject, optionalFlag, optionalInteger, optionalMap, optionalText, optionalTexts } from './query.schema.ts'

/** A shell's line or a list of arguments. */
const command = z
  .union([z.string().transform((line) => (line === '' ? [] : [line])), z.array(z.string())])
  .exactOptional()

/** Keys that count, values that do not: `{"80/tcp": {}}`, also with null. */
const keySet = z
  .record(
    z.string(),
    z.unknown().transform((): object => ({})),
  )
  .exactOptional()

const healthcheck = goObject({
  Test: optionalTexts,
  Interval: optionalInteger,
  Timeout: optionalInteger,
  StartPeriod: optionalInteger,
  StartInterval: optionalInteger,
  Retries: optionalInteger,
}).exactOptional()

const configShape = {
  Hostname: optionalText,
  Domainname: optionalText,
  User: optionalText,
  AttachStdin: optionalFlag,
  AttachStdout: optionalFlag,
  AttachStderr: optionalFlag,
  ExposedPorts: keySet,
  Tty: optionalFlag,
  OpenStdin: optionalFlag,
  StdinOnce: optionalFlag,
  Env: optionalTexts,
  Cmd: command,
  Entrypoint: command,
  Healthcheck: healthcheck,
  Image: z.string().default(''),
  Volumes: keySet,
  WorkingDir: optionalText,
  NetworkDisabled: optionalFlag,
  MacAddress: optionalText,
  OnBuild: optionalTexts,
  Labels: optionalMap,
  StopSignal: optionalText,
  StopTimeout: optionalInteger,
  Shell: optionalTexts,
}

const throttle = z.array(goObject({ Path: z.string(), Rate: z.number().int().min(0) })).exactOptional()

const resourcesShape = {
  Memory: optionalInteger,
  MemorySwap: optionalInteger,
  MemoryReservation: optionalInteger,
  MemorySwappiness: optionalInteger,
  OomKillDisable: optionalFlag,
  NanoCpus: optionalInteger,
  CpuShares: optionalInteger,
  CpuPeriod: optionalInteger,
  CpuQuota: optionalInteger,
  CpuRealtimePeriod: optionalInteger,
  CpuRealtimeRuntime: optionalInteger,
  CpusetCpus: optionalText,
  CpusetMems: optionalText,
  PidsLimit: optionalInteger,
  BlkioWeight: optionalInteger,
  BlkioWeightDevice: z.array(goObject({ Path: z.string(), Weight: z.number().int() })).exactOptional(),
  BlkioDeviceReadBps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteIOps: throttle,
  CgroupParent: optionalText,
  Devices: z
    .array(
      goObject({
        PathOnHost: z.string(),
        PathInContainer: z.string().default(''),
        CgroupPermissions: z.string().default('rwm'),
      }),
    )
    .exactOptional(),
  DeviceCgroupRules: optionalTexts,
  Ulimits: z
    .array(goObject({ Name: z.string(), Soft: z.number().int().default(0), Hard: z.number().int().default(0) }))
    .exactOptional(),
  DeviceRequests: z
    .array(goObject({ Driver: optionalText, Capabilities: z.array(z.array(z.string())).exactOptional() }))
    .exactOptional(),
  KernelMemoryTCP: optionalInteger,
  CpuCount: optionalInteger,
  CpuPercent: optionalInteger,
  IOMaximumIOps: optionalInteger,
  IOMaximumBandwidth: optionalInteger,
}

const mount = goObject({
  Type: z.enum(['bind', 'volume', 'tmpfs', 'image'], {
    error: (issue) => `mount type unknown: ${JSON.stringify(issue.input)}`,
  }),
  Source: optionalText,
  Target: z.string().default(''),
  ReadOnly: optionalFlag,
  Consistency: optionalText,
  BindOptions: goObject({
    Propagation: optionalText,
    NonRecursive: optionalFlag,
    CreateMountpoint: optionalFlag,
    ReadOnlyNonRecursive: optionalFlag,
    ReadOnlyForceRecursive: optionalFlag,
  }).exactOptional(),
  VolumeOptions: goObject({
    NoCopy: optionalFlag,
    Labels: optionalMap,
    DriverConfig: goObject({ Name: optionalText, Options: optionalMap }).exactOptional(),
    Subpath: optionalText,
  }).exactOptional(),
  TmpfsOptions: goObject({
    SizeBytes: optionalInteger,
    Mode: optionalInteger,
    Options: z.array(z.array(z.string())).exactOptional(),
  }).exactOptional(),
  ImageOptions: goObject({ Subpath: optionalText }).exactOptional(),
})

const restartPolicy = goObject({
  Name: z
    .enum(['', 'no', 'always', 'unless-stopped', 'on-failure'], {
      error: (issue) =>
        `unknown policy ${JSON.stringify(issue.input)}; use one of no, always, unless-stopped, on-failure`,
    })
    .default(''),
  MaximumRetryCount: optionalInteger,
}).exactOptional()

const portBinding = goObject({ HostIp: z.string().default(''), HostPort: z.string().default('') })

/** struct winsize; TIOCSWINSZ(2const). */
const cells = z.number().int().min(0).max(65535)
const consoleSize = z.tuple([cells, cells]).exactOptional()

const hostConfigShape = {
  ...resourcesShape,
  Binds: optionalTexts,
  Mounts: z.array(mount).exactOptional(),
  Tmpfs: optionalMap,
  VolumesFrom: optionalTexts,
  VolumeDriver: optionalText,
  Links: optionalTexts,
  StorageOpt: optionalMap,
  Isolation: optionalText,
  Cgroup: optionalText,
  ContainerIDFile: optionalText,
  LogConfig: goObject({ Type: optionalText, Config: optionalMap }).exactOptional(),
  NetworkMode: optionalText,
  PortBindings: z.record(z.string(), z.array(portBinding).nullable()).exactOptional(),
  PublishAllPorts: optionalFlag,
  RestartPolicy: restartPolicy,
  AutoRemove: optionalFlag,
  CapAdd: optionalTexts,
  CapDrop: optionalTexts,
  CgroupnsMode: optionalText,
  Dns: optionalTexts,
  DnsOptions: optionalTexts,
  DnsSearch: optionalTexts,
  ExtraHosts: optionalTexts,
  GroupAdd: optionalTexts,
  IpcMode: optionalText,
  OomScoreAdj: optionalInteger,
  PidMode: optionalText,
  Privileged: optionalFlag,
  ReadonlyRootfs: optionalFlag,
  SecurityOpt: optionalTexts,
  ShmSize: optionalInteger,
  Sysctls: optionalMap,
  UTSMode: optionalText,
  UsernsMode: optionalText,
  Init: optionalFlag,
  Runtime: optionalText,
  Annotations: optionalMap,
  ConsoleSize: consoleSize,
  MaskedPaths: optionalTexts,
  ReadonlyPaths: optionalTexts,
}

/** Clients send the id empty where they mean the network that the settings are under. */
export const endpointSettings = goObject({
  IPAMConfig: goObject({
    IPv4Address: optionalText,
    IPv6Address: optionalText,
    LinkLocalIPs: optionalTexts,
  }).exactOptional(),
  Links: optionalTexts,
  Aliases: optionalTexts,
  MacAddress: optionalText,
  DriverOpts: optionalMap,
  GwPriority: optionalInteger,
  NetworkID: optionalText,
}).transform(({ NetworkID, ...settings }) => (NetworkID ? { ...settings, NetworkID } : settings))

/** A network without settings may be null. */
const endpoints = z.record(
  z.string(),
  z.preprocess((value) => value ?? {}, endpointSettings),
)

const hostConfig: z.ZodType<HostConfig> = goObject(hostConfigShape)

export const createContainerBody = goObject({
  ...configShape,
  HostConfig: hostConfig.exactOptional(),
  NetworkingConfig: goObject({ EndpointsConfig: endpoints.exactOptional() }).exactOptional(),
}).transform(({ HostConfig: host, NetworkingConfig: networking, ...config }) => ({
  config: config satisfies ContainerConfig as ContainerConfig,
  hostConfig: host ?? {},
  endpoints: networking?.EndpointsConfig ?? {},
}))

export const updateBody = goObject({ ...resourcesShape, RestartPolicy: restartPolicy })

/** `POST /commit` may carry changes of the configuration; empty: the container's own. */
export const commitBody = goObject({ ...configShape, Image: optionalText })

export const createExecBody = goObject({
  AttachStdin: z.boolean().default(false),
  AttachStdout: z.boolean().default(false),
  AttachStderr: z.boolean().default(false),
  Tty: z.boolean().default(false),
  Cmd: z
    .union([z.string().transform((line) => (line === '' ? [] : [line])), z.array(z.string())])
    .default([])
    .refine((words) => words.length > 0, { error: 'No exec command specified' }),
  Env: z.array(z.string()).default([]),
  User: z.string().default(''),
  WorkingDir: z.string().default(''),
  Privileged: z.boolean().default(false),
  DetachKeys: optionalText,
  ConsoleSize: consoleSize,
})

export const startExecBody = goObject({
  Detach: z.boolean().default(false),
  Tty: z.boolean().default(false),
  ConsoleSize: consoleSize,
})
