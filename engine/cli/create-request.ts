/** The request that the flags of `run` and `create` come to; docker run(1). */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CreateContainerRequest, EndpointSettings, Healthcheck, HostConfig } from '../api/contract/docker.ts'
import type { CreateFlags } from './create-flags.ts'
import { flagParsers } from './flag-parsers.ts'
import { environment, fileLines, given, keyValues } from './flag-values.ts'
import { parseMount } from './mount-flag.ts'
import { publishedPorts } from './port-flag.ts'
import { parseBytes } from './units.ts'

const parseDevice = (text: string) => {
  const [host, container, permissions] = text.split(':')
  const modeOnly = container !== undefined && permissions === undefined && /^[rwm]+$/.test(container)
  return {
    PathOnHost: host!,
    PathInContainer: container === undefined || modeOnly ? host! : container,
    CgroupPermissions: modeOnly ? container : (permissions ?? 'rwm'),
  }
}

const parseUlimit = (text: string) => {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text)
  if (match === null) throw new Error(`invalid ulimit argument: ${text}`)
  return { Name: match[1]!, Soft: Number(match[2]), Hard: Number(match[3] ?? match[2]) }
}

function hostConfig(flags: CreateFlags, bindings: HostConfig['PortBindings']): HostConfig {
  const tmpfs = flags.tmpfs.map((entry) => [
    entry.split(':')[0]!,
    entry.includes(':') ? entry.slice(entry.indexOf(':') + 1) : '',
  ])
  // A volume without a source is anonymous: it belongs to the configuration, not to the binds.
  const host: HostConfig = {
    Binds: flags.volume.filter((entry) => entry.includes(':')).map(absoluteSource),
    Mounts: flags.mount.map(parseMount),
    Tmpfs: Object.fromEntries(tmpfs) as Record<string, string>,
    VolumesFrom: flags.volumesFrom,
    NetworkMode: networksOf(flags)[0]?.[0] ?? 'default',
    PortBindings: bindings ?? {},
    PublishAllPorts: flags.publishAll === true,
    RestartPolicy: flags.restart ?? { Name: 'no', MaximumRetryCount: 0 },
    AutoRemove: flags.rm === true,
    CapAdd: flags.capAdd,
    CapDrop: flags.capDrop,
    Dns: flags.dns,
    DnsOptions: flags.dnsOption,
    DnsSearch: flags.dnsSearch,
    ExtraHosts: flags.addHost,
    GroupAdd: flags.groupAdd,
    SecurityOpt: flags.securityOpt.map(inlineSeccomp),
    Sysctls: keyValues(flags.sysctl),
    Privileged: flags.privileged === true,
    ReadonlyRootfs: flags.readOnly === true,
    Devices: flags.device.map(parseDevice),
    Ulimits: flags.ulimit.map(parseUlimit),
    Annotations: keyValues(flags.annotation),
    DeviceCgroupRules: flags.deviceCgroupRule,
    LogConfig: { Type: flags.logDriver ?? '', Config: keyValues(flags.logOpt) },
  }
  return { ...host, ...limitsOf(flags), ...blockLimits(flags), ...modesOf(flags) }
}

/** The profile's text goes to the daemon, which may not see our files. */
function inlineSeccomp(option: string): string {
  const match = /^seccomp[=:](.+)$/.exec(option)
  if (match === null || match[1] === 'unconfined' || match[1] === 'builtin') return option
  return `seccomp=${JSON.stringify(JSON.parse(readFileSync(match[1]!, 'utf8')))}`
}

export const limitsOf = (flags: Partial<CreateFlags>): HostConfig =>
  given({
    Memory: flags.memory,
    MemorySwap: flags.memorySwap,
    MemoryReservation: flags.memoryReservation,
    NanoCpus: flags.cpus,
    CpuShares: flags.cpuShares,
    CpuPeriod: flags.cpuPeriod,
    CpuQuota: flags.cpuQuota,
    CpusetCpus: flags.cpusetCpus,
    CpusetMems: flags.cpusetMems,
    PidsLimit: flags.pidsLimit,
    BlkioWeight: flags.blkioWeight,
    MemorySwappiness: flags.memorySwappiness,
  })

const modesOf = (flags: CreateFlags): HostConfig =>
  given({
    OomKillDisable: flags.oomKillDisable,
    OomScoreAdj: flags.oomScoreAdj,
    ShmSize: flags.shmSize,
    CgroupParent: flags.cgroupParent,
    CgroupnsMode: flags.cgroupns,
    IpcMode: flags.ipc,
    PidMode: flags.pid,
    UTSMode: flags.uts,
    UsernsMode: flags.userns,
    Init: flags.init,
    Runtime: flags.runtime,
  })

type Throttle = { Path: string; Rate: number }

const device = (entry: string): [path: string, value: string] => {
  const colon = entry.lastIndexOf(':')
  if (!entry.startsWith('/') || colon < 1)
    throw new Error(`bad format: ${entry}: a path and a number are needed, as /dev/sda:1mb`)
  return [entry.slice(0, colon), entry.slice(colon + 1)]
}

const throttles = (entries: readonly string[], parse: (text: string) => number): Throttle[] | undefined =>
  entries.length === 0
    ? undefined
    : entries.map((entry) => {
        const [Path, value] = device(entry)
        return { Path, Rate: parse(value) }
      })

const blockLimits = (flags: CreateFlags): object =>
  given({
    BlkioDeviceReadBps: throttles(flags.deviceReadBps, parseBytes),
    BlkioDeviceWriteBps: throttles(flags.deviceWriteBps, parseBytes),
    BlkioDeviceReadIOps: throttles(flags.deviceReadIops, flagParsers.integer),
    BlkioDeviceWriteIOps: throttles(flags.deviceWriteIops, flagParsers.integer),
    BlkioWeightDevice: throttles(flags.blkioWeightDevice, flagParsers.integer)?.map(({ Path, Rate }) => ({
      Path,
      Weight: Rate,
    })),
  })

/** As docker has it: a path from here becomes the whole path, a plain name stays a volume's. */
function absoluteSource(bind: string): string {
  const [source = '', ...rest] = bind.split(':')
  return /^\.{1,2}(\/|$)/.test(source) ? [resolve(source), ...rest].join(':') : bind
}

function healthcheckOf(flags: CreateFlags): Healthcheck | undefined {
  const said = given({
    Test: flags.healthCmd === undefined ? undefined : ['CMD-SHELL', flags.healthCmd],
    Interval: flags.healthInterval,
    Timeout: flags.healthTimeout,
    StartPeriod: flags.healthStartPeriod,
    StartInterval: flags.healthStartInterval,
    Retries: flags.healthRetries,
  })
  const any = Object.keys(said).length > 0
  if (flags.healthcheck !== false) return any ? said : undefined
  if (any) throw new Error('--no-healthcheck conflicts with --health-* options')
  return { Test: ['NONE'] }
}

type Endpoint = Partial<EndpointSettings>

/** What `--ip`, `--mac-address` and the like say is about the first network. */
const firstEndpoint = (flags: CreateFlags, own: Endpoint): Endpoint => ({
  ...own,
  ...given({
    Aliases: flags.networkAlias.length > 0 ? [...(own.Aliases ?? []), ...flags.networkAlias] : undefined,
    IPAMConfig:
      flags.ip === undefined && flags.ip6 === undefined
        ? undefined
        : given({ IPv4Address: flags.ip, IPv6Address: flags.ip6 }),
    MacAddress: flags.macAddress,
  }),
})

/** `--network NAME`, or `--network name=NAME,alias=…,ip=…,driver-opt=…`. */
function networksOf(flags: CreateFlags): (readonly [name: string, endpoint: Endpoint])[] {
  return flags.network.map((text, at) => {
    const [name, endpoint] = text.includes('=') ? longNetwork(text) : ([text, {}] as const)
    return [name, at === 0 ? firstEndpoint(flags, endpoint) : endpoint] as const
  })
}

function longNetwork(text: string): readonly [name: string, endpoint: Endpoint] {
  const pairs = text.split(',').map((part) => {
    const separator = part.indexOf('=')
    return [part.slice(0, separator).toLowerCase(), part.slice(separator + 1)] as const
  })
  const all = (key: string): string[] => pairs.filter(([own]) => own === key).map(([, value]) => value)
  const known = ['name', 'alias', 'ip', 'ip6', 'mac-address', 'driver-opt', 'gw-priority']
  for (const [key] of pairs) if (!known.includes(key)) throw new Error(`invalid field key ${key} in --network ${text}`)
  const [name, ip, ip6] = [all('name')[0], all('ip')[0], all('ip6')[0]]
  if (name === undefined) throw new Error('network name/id is not specified')
  const priority = all('gw-priority')[0]
  const endpoint = given({
    Aliases: all('alias').length > 0 ? all('alias') : undefined,
    IPAMConfig: ip === undefined && ip6 === undefined ? undefined : given({ IPv4Address: ip, IPv6Address: ip6 }),
    MacAddress: all('mac-address')[0],
    DriverOpts: all('driver-opt').length > 0 ? keyValues(all('driver-opt')) : undefined,
    GwPriority: priority === undefined ? undefined : flagParsers.integer(priority),
  })
  return [name, endpoint]
}

/** `terminal` is the size of ours, for a container with a terminal. */
export function createRequest(
  image: string,
  command: readonly string[],
  flags: CreateFlags,
  terminal?: [number, number],
): CreateContainerRequest {
  const { exposed, bindings } = publishedPorts(flags.publish, flags.expose)
  const volumes = flags.volume.filter((entry) => !entry.includes(':')).map((path) => [path, {}])
  const attach = (stream: string, otherwise: boolean) =>
    flags.attach.length === 0 ? otherwise : flags.attach.includes(stream)
  const foreground = flags.detach !== true
  const networks = networksOf(flags)
  const endpoints = networks.length === 0 ? [['default', firstEndpoint(flags, {})] as const] : networks
  return {
    ...given({
      Hostname: flags.hostname,
      Domainname: flags.domainname,
      User: flags.user,
      WorkingDir: flags.workdir,
      StopSignal: flags.stopSignal,
      StopTimeout: flags.stopTimeout,
      Healthcheck: healthcheckOf(flags),
    }),
    AttachStdin: attach('stdin', foreground && flags.interactive === true),
    AttachStdout: attach('stdout', foreground),
    AttachStderr: attach('stderr', foreground),
    Tty: flags.tty === true,
    OpenStdin: flags.interactive === true,
    StdinOnce: flags.interactive === true && foreground,
    Env: environment(flags.env, flags.envFile, process.env),
    ...(command.length === 0 ? {} : { Cmd: [...command] }),
    ...(flags.entrypoint === undefined ? {} : { Entrypoint: [flags.entrypoint] }),
    Image: image,
    ExposedPorts: exposed,
    Volumes: Object.fromEntries(volumes) as Record<string, object>,
    Labels: keyValues([...fileLines(flags.labelFile), ...flags.label]),
    HostConfig: { ...hostConfig(flags, bindings), ...(terminal === undefined ? {} : { ConsoleSize: terminal }) },
    NetworkingConfig: { EndpointsConfig: Object.fromEntries(endpoints) },
  }
}
