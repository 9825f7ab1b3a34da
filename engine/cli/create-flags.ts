/** The flags of `run` and `create`, and the request they make. Docker's own names; docker run(1). */
import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CreateContainerRequest, HostConfig, RestartPolicy } from '../api/contract/docker.ts'
import { parseMount } from './mount-flag.ts'
import { publishedPorts } from './port-flag.ts'
import { parseBytes, parseSwap } from './units.ts'

export type CreateFlags = {
  name?: string
  platform?: string
  pull: 'always' | 'missing' | 'never'
  quiet?: boolean
  interactive?: boolean
  tty?: boolean
  detach?: boolean
  detachKeys?: string
  attach: string[]
  sigProxy: boolean
  cidfile?: string
  env: string[]
  envFile: string[]
  label: string[]
  volume: string[]
  mount: string[]
  tmpfs: string[]
  publish: string[]
  publishAll?: boolean
  expose: string[]
  workdir?: string
  user?: string
  hostname?: string
  domainname?: string
  entrypoint?: string
  network: string[]
  networkAlias: string[]
  ip?: string
  addHost: string[]
  dns: string[]
  dnsSearch: string[]
  dnsOption: string[]
  restart?: RestartPolicy
  rm?: boolean
  init?: boolean
  privileged?: boolean
  readOnly?: boolean
  capAdd: string[]
  capDrop: string[]
  securityOpt: string[]
  groupAdd: string[]
  device: string[]
  ulimit: string[]
  sysctl: string[]
  memory?: number
  memorySwap?: number
  memoryReservation?: number
  cpus?: number
  cpuShares?: number
  cpuPeriod?: number
  cpuQuota?: number
  cpusetCpus?: string
  cpusetMems?: string
  pidsLimit?: number
  blkioWeight?: number
  oomKillDisable?: boolean
  oomScoreAdj?: number
  shmSize?: number
  cgroupParent?: string
  cgroupns?: string
  ipc?: string
  pid?: string
  uts?: string
  userns?: string
  stopSignal?: string
  stopTimeout?: number
  volumesFrom: string[]
  logDriver?: string
  logOpt: string[]
}

/** commander reports the message of a failed parse with the flag's name. */
const parsed =
  <Value>(parse: (text: string) => Value) =>
  (text: string): Value => {
    try {
      return parse(text)
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message)
    }
  }

const collect = (text: string, previous: string[]): string[] => [...previous, text]
const integer = parsed((text) => {
  if (!/^-?\d+$/.test(text)) throw new Error(`invalid number: '${text}'`)
  return Number(text)
})
const bytes = parsed(parseBytes)
export const flagParsers = {
  integer,
  bytes,
  swap: parsed(parseSwap),
  cpus: parsed(parseCpus),
  restart: parsed(parseRestart),
  collect,
}

/** Processors, e.g. `1.5`: in 1e-9 processors. */
export function parseCpus(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new Error(`failed to parse ${JSON.stringify(text)} as a number of CPUs`)
  return Math.round(value * 1e9)
}

export function parseRestart(text: string): RestartPolicy {
  const match = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text)
  if (match === null) throw new Error(`invalid restart policy: ${JSON.stringify(text)}`)
  return { Name: match[1]!, MaximumRetryCount: Number(match[2] ?? 0) }
}

type Flag = readonly [flags: string, description: string, parse?: (text: string) => unknown]

const lists: readonly Flag[] = [
  ['-e, --env <entry>', 'environment: NAME=value, or NAME to take it over'],
  ['--env-file <file>', 'environment from a file'],
  ['-l, --label <label>', 'key=value'],
  ['-v, --volume <mount>', 'source:target[:options]'],
  ['--mount <mount>', 'type=bind|volume|tmpfs,source=…,target=…'],
  ['--tmpfs <target>', 'path[:options]'],
  ['-p, --publish <port>', '[address:][hostPort:]port[/protocol]'],
  ['--expose <port>', 'a port or a range'],
  ['--network <name>', 'bridge, host, none, container:ID, or a network'],
  ['--network-alias <name>', 'a further name on the network'],
  ['--add-host <entry>', 'host:address in /etc/hosts'],
  ['--dns <address>', 'name server'],
  ['--dns-search <domain>', 'search domain'],
  ['--dns-option <option>', 'resolver option'],
  ['--cap-add <capability>', 'capability to add'],
  ['--cap-drop <capability>', 'capability to drop'],
  ['--security-opt <option>', 'seccomp=…, no-new-privileges, …'],
  ['--group-add <group>', 'further group of the user'],
  ['--device <device>', 'path[:path[:rwm]]'],
  ['--ulimit <limit>', 'name=soft[:hard]'],
  ['--sysctl <setting>', 'name=value'],
  ['--volumes-from <container>', 'mounts of another container'],
  ['--log-opt <option>', 'option of the log driver'],
  ['-a, --attach <stream>', 'stdin, stdout or stderr'],
]

const values: readonly Flag[] = [
  ['--name <name>', "the container's name"],
  ['--platform <platform>', 'os/arch[/variant]'],
  ['--cidfile <file>', 'write the id to a file'],
  ['--detach-keys <keys>', 'key sequence that detaches'],
  ['-w, --workdir <path>', 'working directory'],
  ['-u, --user <user>', 'name or id [:group]'],
  ['-h, --hostname <name>', 'host name'],
  ['--domainname <name>', 'domain name'],
  ['--entrypoint <program>', "instead of the image's"],
  ['--ip <address>', 'IPv4 address'],
  ['--restart <policy>', 'no, always, unless-stopped, on-failure[:max]', flagParsers.restart],
  ['-m, --memory <bytes>', 'memory limit', bytes],
  ['--memory-swap <bytes>', 'memory and swap; -1 for no limit', flagParsers.swap],
  ['--memory-reservation <bytes>', 'soft limit', bytes],
  ['--cpus <number>', 'processors', flagParsers.cpus],
  ['-c, --cpu-shares <weight>', 'relative weight', integer],
  ['--cpu-period <us>', 'period of the quota', integer],
  ['--cpu-quota <us>', 'quota in a period', integer],
  ['--cpuset-cpus <list>', 'processors to use'],
  ['--cpuset-mems <list>', 'memory nodes to use'],
  ['--pids-limit <number>', 'processes; -1 for no limit', integer],
  ['--blkio-weight <weight>', '10 to 1000', integer],
  ['--oom-score-adj <number>', '-1000 to 1000', integer],
  ['--shm-size <bytes>', 'size of /dev/shm', bytes],
  ['--cgroup-parent <path>', 'parent cgroup'],
  ['--cgroupns <mode>', 'host or private'],
  ['--ipc <mode>', 'IPC namespace'],
  ['--pid <mode>', 'PID namespace'],
  ['--uts <mode>', 'UTS namespace'],
  ['--userns <mode>', 'user namespace'],
  ['--stop-signal <signal>', 'signal that stops it'],
  ['--stop-timeout <seconds>', 'before it is killed', integer],
  ['--log-driver <name>', 'json-file, local or none'],
]

const switches: readonly Flag[] = [
  ['-i, --interactive', 'keep stdin open'],
  ['-t, --tty', 'a terminal'],
  ['-P, --publish-all', 'publish every exposed port'],
  ['--rm', 'remove it when it ends'],
  ['--init', 'an init that forwards signals and reaps'],
  ['--privileged', 'every capability and device'],
  ['--read-only', 'read-only root'],
  ['--oom-kill-disable', 'no killing for want of memory'],
  ['-q, --quiet', 'no pull progress'],
]

/** Adds them to `run` or `create`. What follows the image is the container's. */
export function addCreateFlags(command: Command): Command {
  for (const [flags, description] of lists) command.option(flags, description, collect, [])
  for (const [flags, description, parse] of values)
    if (parse === undefined) command.option(flags, description)
    else command.option(flags, description, parse)
  for (const [flags, description] of switches) command.option(flags, description)
  // Docker's short names; -h is the host's name here, so help is the long one alone.
  command.helpOption('--help')
  command.addOption(new Option('--net <name>', 'as --network').argParser(collect).default([], '').hideHelp())
  return command
    .addOption(new Option('--pull <when>', 'when to pull').choices(['always', 'missing', 'never']).default('missing'))
    .passThroughOptions()
    .argument('<image>')
    .argument('[command...]')
}

const keyValues = (entries: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    entries.map((entry) =>
      entry.includes('=') ? [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] : [entry, ''],
    ),
  )

/** `NAME` alone takes the caller's value over, and is left out where there is none. */
export function environment(entries: readonly string[], files: readonly string[], own: NodeJS.ProcessEnv): string[] {
  const lines = files
    .flatMap((file) => readFileSync(file, 'utf8').split(/\r?\n/))
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return [...lines, ...entries].flatMap((entry) => {
    if (entry.includes('=')) return [entry]
    return own[entry] === undefined ? [] : [`${entry}=${own[entry]}`]
  })
}

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
    Binds: flags.volume.filter((entry) => entry.includes(':')),
    Mounts: flags.mount.map(parseMount),
    Tmpfs: Object.fromEntries(tmpfs) as Record<string, string>,
    VolumesFrom: flags.volumesFrom,
    NetworkMode: flags.network[0] ?? 'default',
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
    LogConfig: { Type: flags.logDriver ?? '', Config: keyValues(flags.logOpt) },
  }
  return { ...host, ...limitsOf(flags), ...modesOf(flags) }
}

/** The profile's text goes to the daemon, which may not see our files. */
function inlineSeccomp(option: string): string {
  const match = /^seccomp[=:](.+)$/.exec(option)
  if (match === null || match[1] === 'unconfined' || match[1] === 'builtin') return option
  return `seccomp=${JSON.stringify(JSON.parse(readFileSync(match[1]!, 'utf8')))}`
}

type Defined<Fields> = { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> }

/** Without the fields that are undefined: the API tells absent from given. */
export const given = <Fields extends object>(fields: Fields): Defined<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>

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
  })

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
  const network = flags.network[0] ?? 'default'
  const endpoint = given({
    Aliases: flags.networkAlias.length > 0 ? flags.networkAlias : undefined,
    IPAMConfig: flags.ip === undefined ? undefined : { IPv4Address: flags.ip },
  })
  return {
    ...given({
      Hostname: flags.hostname,
      Domainname: flags.domainname,
      User: flags.user,
      WorkingDir: flags.workdir,
      StopSignal: flags.stopSignal,
      StopTimeout: flags.stopTimeout,
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
    Labels: keyValues(flags.label),
    HostConfig: { ...hostConfig(flags, bindings), ...(terminal === undefined ? {} : { ConsoleSize: terminal }) },
    NetworkingConfig: { EndpointsConfig: { [network]: endpoint } },
  }
}
