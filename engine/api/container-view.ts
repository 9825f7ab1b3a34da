/** Containers as clients see them: domain → wire, nothing else. */

import { shownProfile } from '../lifecycle/apparmor.ts'
import type { Container, EndpointSettings, Health, MountPoint } from '../lifecycle/container.ts'
import { dnsNames } from '../lifecycle/dns-names.ts'
import { logDriver } from '../lifecycle/log-config.ts'
import { statusText } from '../lifecycle/status-text.ts'
import type { PortMap } from '../network/network.ts'
import type * as wire from './contract/docker.ts'

const mountView = (mount: MountPoint): wire.MountPoint => ({
  Type: mount.Type,
  ...(mount.Name === undefined ? {} : { Name: mount.Name }),
  Source: mount.Source,
  Destination: mount.Destination,
  ...(mount.Driver === undefined ? {} : { Driver: mount.Driver }),
  Mode: mount.Mode,
  RW: mount.RW,
  Propagation: mount.Propagation,
})

/** Addresses are empty strings while the container is stopped; the network's key stays. */
function endpointView(container: Container, name: string, settings: EndpointSettings): wire.EndpointSettings {
  const live = container.endpoints.find(
    (endpoint) => endpoint.networkName === name || endpoint.networkId === settings.NetworkID,
  )
  return {
    IPAMConfig: settings.IPAMConfig ?? null,
    Links: settings.Links ?? null,
    Aliases: settings.Aliases ?? null,
    MacAddress: live?.macAddress ?? settings.MacAddress ?? '',
    DriverOpts: settings.DriverOpts ?? null,
    GwPriority: settings.GwPriority ?? 0,
    NetworkID: live?.networkId ?? settings.NetworkID ?? '',
    EndpointID: live?.endpointId ?? '',
    Gateway: live?.gateway ?? '',
    IPAddress: live?.ipAddress ?? '',
    IPPrefixLen: live?.prefixLength ?? 0,
    IPv6Gateway: live?.ipv6Gateway ?? '',
    GlobalIPv6Address: live?.ipv6Address ?? '',
    GlobalIPv6PrefixLen: live?.ipv6PrefixLength ?? 0,
    DNSNames: ['bridge', 'host', 'none'].includes(name) ? null : dnsNames(container, settings),
  }
}

const endpointsView = (container: Container): Record<string, wire.EndpointSettings> =>
  Object.fromEntries(
    Object.entries(container.networks).map(([name, settings]) => [name, endpointView(container, name, settings)]),
  )

/** Published ports of all live endpoints; exposed ones without a publication are null. */
export function portsOf(container: Container): PortMap {
  const ports: PortMap = {}
  if (container.endpoints.length > 0)
    for (const exposed of Object.keys(container.config.ExposedPorts ?? {})) ports[exposed] = null
  for (const endpoint of container.endpoints)
    for (const [port, bindings] of Object.entries(endpoint.ports))
      if (bindings !== null && bindings.length > 0) ports[port] = [...(ports[port] ?? []), ...bindings]
      else ports[port] ??= null
  return ports
}

function portSummaries(container: Container): wire.Port[] {
  return Object.entries(portsOf(container)).flatMap(([key, bindings]): wire.Port[] => {
    const [port, Type = 'tcp'] = key.split('/')
    const PrivatePort = Number(port)
    if (bindings === null) return [{ PrivatePort, Type }]
    return bindings.map(({ HostIp, HostPort }) => ({
      IP: HostIp === '' ? '0.0.0.0' : HostIp,
      PrivatePort,
      PublicPort: Number(HostPort),
      Type,
    }))
  })
}

/** As Docker shows a command line: arguments with a blank, in single quotes. */
const commandLine = ({ path, args }: Container): string =>
  [path, ...args].map((word) => (/[\s']/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : word)).join(' ')

/** @param now milliseconds since the epoch */
export const summaryView = (container: Container, imageName: string, now: number): wire.ContainerSummary => ({
  Id: container.id,
  Names: [`/${container.name}`],
  Image: imageName,
  ImageID: container.imageId,
  Command: commandLine(container),
  Created: Math.floor(Date.parse(container.created) / 1000),
  Ports: portSummaries(container),
  Labels: container.config.Labels ?? {},
  State: container.run.state,
  Status: statusText(container, now),
  HostConfig: {
    NetworkMode: container.hostConfig.NetworkMode ?? 'bridge',
    ...(container.hostConfig.Annotations === undefined ? {} : { Annotations: container.hostConfig.Annotations }),
  },
  NetworkSettings: { Networks: endpointsView(container) },
  Mounts: container.mounts.map(mountView),
})

const stateView = ({ run }: Container): wire.ContainerState => ({
  Status: run.state,
  Running: run.state === 'running' || run.state === 'paused' || run.state === 'restarting',
  Paused: run.state === 'paused',
  Restarting: run.state === 'restarting',
  OOMKilled: run.oomKilled,
  Dead: run.state === 'dead',
  Pid: run.pid,
  ExitCode: run.exitCode,
  Error: run.error,
  StartedAt: run.startedAt,
  FinishedAt: run.finishedAt,
  ...(run.health === undefined ? {} : { Health: healthView(run.health) }),
})

const healthView = ({ status, failingStreak, log }: Health): wire.Health => ({
  Status: status,
  FailingStreak: failingStreak,
  Log: log.map(({ start, end, exitCode, output }) => ({ Start: start, End: end, ExitCode: exitCode, Output: output })),
})

/** Fields that Docker always has, empty where nobody set them. */
const configView = (container: Container): wire.ContainerConfig => ({
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: [],
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: {},
  ...container.config,
})

const hostConfigDefaults: wire.HostConfig = {
  Binds: null,
  ContainerIDFile: '',
  VolumeDriver: '',
  Links: null,
  Cgroup: '',
  Isolation: '',
  NetworkMode: 'bridge',
  PortBindings: {},
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: 'private',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: 'private',
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: 67108864,
  Runtime: 'drydock',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  DeviceRequests: null,
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: false,
  PidsLimit: null,
  Ulimits: [],
}

/** As Docker has written them since its first days: `/db:/web/database`. */
const linksView = ({ name, hostConfig }: Container): string[] | null => {
  const links = (hostConfig.Links ?? []).map((text) => text.split(':') as [string, string])
  return links.length === 0 ? null : links.map(([child, alias]) => `/${child}:/${name}/${alias}`)
}

const hostConfigView = (container: Container): wire.HostConfig => {
  const { LogConfig, ...rest } = container.hostConfig
  return {
    ...hostConfigDefaults,
    ...rest,
    Links: linksView(container),
    LogConfig: { Type: logDriver(LogConfig), Config: LogConfig?.Config ?? {} },
  }
}

function networkSettingsView(container: Container): wire.ContainerInspect['NetworkSettings'] {
  const Networks = endpointsView(container)
  const main = Networks.bridge
  return {
    Bridge: '',
    SandboxID: container.run.pid === 0 ? '' : container.id,
    SandboxKey: container.run.pid === 0 ? '' : `/proc/${container.run.pid}/ns/net`,
    Ports: portsOf(container),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: main?.EndpointID ?? '',
    Gateway: main?.Gateway ?? '',
    GlobalIPv6Address: main?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: main?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: main?.IPAddress ?? '',
    IPPrefixLen: main?.IPPrefixLen ?? 0,
    IPv6Gateway: main?.IPv6Gateway ?? '',
    MacAddress: main?.MacAddress ?? '',
    Networks,
  }
}

export const inspectView = (container: Container, execIds: readonly string[]): wire.ContainerInspect => ({
  Id: container.id,
  Created: container.created,
  Path: container.path,
  Args: container.args,
  State: stateView(container),
  Image: container.imageId,
  ResolvConfPath: container.resolvConfPath,
  HostnamePath: container.hostnamePath,
  HostsPath: container.hostsPath,
  LogPath: logDriver(container.hostConfig.LogConfig) === 'json-file' ? container.logPath : '',
  Name: `/${container.name}`,
  RestartCount: container.run.restartCount,
  Driver: 'overlay2',
  Platform: 'linux',
  MountLabel: '',
  ProcessLabel: '',
  AppArmorProfile: shownProfile(container),
  ExecIDs: execIds.length === 0 ? null : [...execIds],
  HostConfig: hostConfigView(container),
  GraphDriver: { Name: 'overlay2', Data: null },
  Mounts: container.mounts.map(mountView),
  Config: configView(container),
  NetworkSettings: networkSettingsView(container),
})
