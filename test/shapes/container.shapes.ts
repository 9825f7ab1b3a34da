/** Answers about containers and what runs in them; Docker Engine API 1.51, tags Container and Exec. */
import * as z from 'zod'
import {
  address4,
  address6,
  count,
  digest,
  id,
  idOrNone,
  mac,
  map,
  orNull,
  portKey,
  set,
  text,
  texts,
  time,
  whole,
  yes,
} from './pieces.ts'

const state = z.enum(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'])

export const healthcheck = z.strictObject({
  Test: texts.optional(),
  Interval: count.optional(),
  Timeout: count.optional(),
  StartPeriod: count.optional(),
  StartInterval: count.optional(),
  Retries: count.optional(),
})

/** What a container and an image have in common. */
export const config = z.strictObject({
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: yes,
  AttachStdout: yes,
  AttachStderr: yes,
  ExposedPorts: z.record(portKey, z.strictObject({})).optional(),
  Tty: yes,
  OpenStdin: yes,
  StdinOnce: yes,
  Env: orNull(texts),
  Cmd: orNull(texts),
  Healthcheck: healthcheck.optional(),
  Image: text,
  Volumes: orNull(set),
  WorkingDir: text,
  Entrypoint: orNull(texts),
  NetworkDisabled: yes.optional(),
  MacAddress: text.optional(),
  OnBuild: orNull(texts),
  Labels: orNull(map),
  StopSignal: text.optional(),
  StopTimeout: whole.optional(),
  Shell: texts.optional(),
})

const throttles = orNull(z.array(z.strictObject({ Path: text, Rate: count })))
const binding = z.strictObject({ HostIp: text, HostPort: z.string().regex(/^(\d+(-\d+)?)?$/) })

const resources = {
  CpuShares: count,
  Memory: count,
  NanoCpus: count,
  CgroupParent: text,
  BlkioWeight: count,
  BlkioWeightDevice: orNull(z.array(z.strictObject({ Path: text, Weight: count }))),
  BlkioDeviceReadBps: throttles,
  BlkioDeviceWriteBps: throttles,
  BlkioDeviceReadIOps: throttles,
  BlkioDeviceWriteIOps: throttles,
  CpuPeriod: count,
  CpuQuota: whole,
  CpuRealtimePeriod: count,
  CpuRealtimeRuntime: count,
  CpusetCpus: text,
  CpusetMems: text,
  Devices: orNull(z.array(z.strictObject({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text }))),
  DeviceCgroupRules: orNull(texts),
  DeviceRequests: orNull(z.array(z.strictObject({ Driver: text.optional(), Capabilities: z.array(texts).optional() }))),
  MemoryReservation: count,
  MemorySwap: whole,
  MemorySwappiness: orNull(whole),
  OomKillDisable: orNull(yes),
  PidsLimit: orNull(whole),
  Ulimits: orNull(z.array(z.strictObject({ Name: text, Soft: whole, Hard: whole }))),
  CpuCount: count,
  CpuPercent: count,
  IOMaximumIOps: count,
  IOMaximumBandwidth: count,
}

const mountRequest = z.strictObject({
  Type: z.enum(['bind', 'volume', 'tmpfs', 'image']),
  Source: text.optional(),
  Target: text,
  ReadOnly: yes.optional(),
  Consistency: text.optional(),
  BindOptions: z.record(text, z.unknown()).optional(),
  VolumeOptions: z.record(text, z.unknown()).optional(),
  TmpfsOptions: z.record(text, z.unknown()).optional(),
  ImageOptions: z.record(text, z.unknown()).optional(),
})

export const hostConfig = z.strictObject({
  ...resources,
  Binds: orNull(texts),
  ContainerIDFile: text,
  LogConfig: z.strictObject({ Type: text, Config: orNull(map) }),
  NetworkMode: text,
  PortBindings: orNull(z.record(portKey, orNull(z.array(binding)))),
  RestartPolicy: z.strictObject({
    Name: z.enum(['no', 'always', 'unless-stopped', 'on-failure']),
    MaximumRetryCount: count,
  }),
  AutoRemove: yes,
  VolumeDriver: text,
  VolumesFrom: orNull(texts),
  Mounts: z.array(mountRequest).optional(),
  ConsoleSize: z.tuple([count, count]),
  Annotations: map.optional(),
  CapAdd: orNull(texts),
  CapDrop: orNull(texts),
  CgroupnsMode: z.enum(['private', 'host']),
  Dns: orNull(texts),
  DnsOptions: orNull(texts),
  DnsSearch: orNull(texts),
  ExtraHosts: orNull(texts),
  GroupAdd: orNull(texts),
  IpcMode: text,
  Cgroup: text,
  Links: orNull(texts),
  OomScoreAdj: whole,
  PidMode: text,
  Privileged: yes,
  PublishAllPorts: yes,
  ReadonlyRootfs: yes,
  SecurityOpt: orNull(texts),
  StorageOpt: map.optional(),
  Tmpfs: map.optional(),
  UTSMode: text,
  UsernsMode: text,
  ShmSize: count,
  Sysctls: map.optional(),
  Runtime: text,
  Isolation: text,
  Init: yes.optional(),
  MaskedPaths: orNull(texts),
  ReadonlyPaths: orNull(texts),
})

const mountPoint = z.strictObject({
  Type: z.enum(['bind', 'volume', 'tmpfs', 'image']),
  Name: text.optional(),
  Source: text,
  Destination: z.string().startsWith('/'),
  Driver: text.optional(),
  Mode: text,
  RW: yes,
  Propagation: text,
})

const endpoint = z.strictObject({
  IPAMConfig: orNull(
    z.strictObject({ IPv4Address: text.optional(), IPv6Address: text.optional(), LinkLocalIPs: texts.optional() }),
  ),
  Links: orNull(texts),
  Aliases: orNull(texts),
  MacAddress: mac,
  DriverOpts: orNull(map),
  GwPriority: whole,
  NetworkID: idOrNone,
  EndpointID: idOrNone,
  Gateway: address4,
  IPAddress: address4,
  IPPrefixLen: count,
  IPv6Gateway: address6,
  GlobalIPv6Address: address6,
  GlobalIPv6PrefixLen: count,
  DNSNames: orNull(texts),
})
const endpoints = z.record(text, endpoint)

const port = z.strictObject({ IP: text.optional(), PrivatePort: count, PublicPort: count.optional(), Type: text })
const names = z.array(z.string().startsWith('/')).min(1)

export const summary = z.strictObject({
  Id: id,
  Names: names,
  Image: text,
  ImageID: digest,
  Command: text,
  Created: count,
  Ports: z.array(port),
  SizeRw: count.optional(),
  SizeRootFs: count.optional(),
  Labels: map,
  State: state,
  Status: text,
  HostConfig: z.strictObject({ NetworkMode: text, Annotations: map.optional() }),
  NetworkSettings: z.strictObject({ Networks: endpoints }),
  Mounts: z.array(mountPoint),
})

const probe = z.strictObject({ Start: text, End: text, ExitCode: whole, Output: text })

const runState = z.strictObject({
  Status: state,
  Running: yes,
  Paused: yes,
  Restarting: yes,
  OOMKilled: yes,
  Dead: yes,
  Pid: count,
  ExitCode: whole,
  Error: text,
  StartedAt: time,
  FinishedAt: time,
  Health: z
    .strictObject({
      Status: z.enum(['none', 'starting', 'healthy', 'unhealthy']),
      FailingStreak: count,
      Log: orNull(z.array(probe)),
    })
    .optional(),
})

const networkSettings = z.strictObject({
  Bridge: text,
  SandboxID: text,
  SandboxKey: text,
  Ports: z.record(portKey, orNull(z.array(binding))),
  HairpinMode: yes,
  LinkLocalIPv6Address: text,
  LinkLocalIPv6PrefixLen: count,
  SecondaryIPAddresses: z.null(),
  SecondaryIPv6Addresses: z.null(),
  EndpointID: idOrNone,
  Gateway: address4,
  GlobalIPv6Address: address6,
  GlobalIPv6PrefixLen: count,
  IPAddress: address4,
  IPPrefixLen: count,
  IPv6Gateway: address6,
  MacAddress: mac,
  Networks: endpoints,
})

export const inspect = z.strictObject({
  Id: id,
  Created: time,
  Path: text,
  Args: texts,
  State: runState,
  Image: digest,
  ResolvConfPath: text,
  HostnamePath: text,
  HostsPath: text,
  LogPath: text,
  Name: z.string().startsWith('/'),
  RestartCount: count,
  Driver: text,
  Platform: z.literal('linux'),
  MountLabel: text,
  ProcessLabel: text,
  AppArmorProfile: text,
  ExecIDs: orNull(z.array(id)),
  HostConfig: hostConfig,
  GraphDriver: z.strictObject({ Name: text, Data: orNull(map) }),
  SizeRw: count.optional(),
  SizeRootFs: count.optional(),
  Mounts: z.array(mountPoint),
  Config: config,
  NetworkSettings: networkSettings,
})

const io = orNull(z.array(z.strictObject({ major: count, minor: count, op: text, value: count })))
const processor = z.strictObject({
  cpu_usage: z.strictObject({
    total_usage: count,
    percpu_usage: z.array(count).optional(),
    usage_in_kernelmode: count,
    usage_in_usermode: count,
  }),
  system_cpu_usage: count.optional(),
  online_cpus: count.optional(),
  throttling_data: z.strictObject({ periods: count, throttled_periods: count, throttled_time: count }),
})
const traffic = ['bytes', 'packets', 'errors', 'dropped'].flatMap((what) => [`rx_${what}`, `tx_${what}`])

export const stats = z.strictObject({
  name: z.string().startsWith('/'),
  id,
  read: time,
  preread: time,
  pids_stats: z.strictObject({ current: count.optional(), limit: count.optional() }),
  blkio_stats: z.strictObject({
    io_service_bytes_recursive: io,
    io_serviced_recursive: io,
    io_queue_recursive: io,
    io_service_time_recursive: io,
    io_wait_time_recursive: io,
    io_merged_recursive: io,
    io_time_recursive: io,
    sectors_recursive: io,
  }),
  num_procs: count,
  storage_stats: z.strictObject({}),
  cpu_stats: processor,
  precpu_stats: processor,
  memory_stats: z.strictObject({
    usage: count.optional(),
    max_usage: count.optional(),
    // Of a group without a limit, 2^63 less a page.
    stats: z.record(text, z.number().min(0)).optional(),
    failcnt: count.optional(),
    limit: count.optional(),
  }),
  networks: z.record(text, z.strictObject(Object.fromEntries(traffic.map((name) => [name, count])))).optional(),
})

export const exec = z.strictObject({
  ID: id,
  Running: yes,
  ExitCode: orNull(whole),
  ProcessConfig: z.strictObject({ entrypoint: text, arguments: texts, tty: yes, privileged: yes, user: text }),
  OpenStdin: yes,
  OpenStdout: yes,
  OpenStderr: yes,
  CanRemove: yes,
  ContainerID: id,
  DetachKeys: text,
  Pid: count,
})

export const wait = z.strictObject({ StatusCode: whole, Error: z.strictObject({ Message: text }).optional() })
export const changes = orNull(z.array(z.strictObject({ Path: z.string().startsWith('/'), Kind: z.literal([0, 1, 2]) })))
export const top = z.strictObject({ Titles: texts, Processes: z.array(texts) })
export const created = z.strictObject({ Id: id, Warnings: texts })
export const prunedContainers = z.strictObject({ ContainersDeleted: orNull(z.array(id)), SpaceReclaimed: count })
/** `X-Docker-Container-Path-Stat`, decoded. */
export const pathStat = z.strictObject({
  name: text,
  size: count,
  mode: count,
  mtime: time,
  linkTarget: text,
})
