/** Every verb with its options, as `help` shows them and as the grammar reads them; runc 1.3's, name by name. */
import type { Flag } from './flags.ts'

export type VerbName =
  | 'checkpoint'
  | 'create'
  | 'delete'
  | 'events'
  | 'exec'
  | 'kill'
  | 'list'
  | 'pause'
  | 'ps'
  | 'restore'
  | 'resume'
  | 'run'
  | 'spec'
  | 'start'
  | 'state'
  | 'update'
  | 'features'

export type Verb = {
  name: VerbName
  /** One line for the list of verbs. */
  usage: string
  /** What follows the options. */
  arguments: string
  about?: string
  flags: readonly Flag[]
  /** Number of arguments. */
  least: number
  most: number
  /** Options end at the first argument: the rest is another program's. */
  ordered?: boolean
}

const flag = (kind: Flag['kind'], long: string, usage: string, more: Partial<Flag> & { short?: string } = {}): Flag => {
  const { short, ...rest } = more
  return { kind, names: short === undefined ? [long] : [long, short], usage, ...rest }
}
const text = (long: string, usage: string, more: Partial<Flag> & { short?: string } = {}): Flag =>
  flag('string', long, usage, more)
const bool = (long: string, usage: string, more: Partial<Flag> & { short?: string } = {}): Flag =>
  flag('boolean', long, usage, more)
const number = (long: string, usage: string, more: Partial<Flag> = {}): Flag => flag('number', long, usage, more)
const list = (long: string, usage: string, more: Partial<Flag> & { short?: string } = {}): Flag =>
  flag('list', long, usage, more)

export const globalFlags: readonly Flag[] = [
  bool('debug', 'tell every step'),
  text('log', 'append the log to this file (standard error otherwise)'),
  text('log-format', "'text' or 'json'", { default: 'text' }),
  text('root', "where the containers' state is kept; should be a tmpfs", { default: '/run/drydock-runtime' }),
  text('criu', 'obsolete, ignored', { hidden: true }),
  bool('systemd-cgroup', 'let systemd make the control groups: cgroupsPath is then slice:prefix:name'),
  text('rootless', "do without control groups where they are denied: 'true', 'false' or 'auto'", { default: 'auto' }),
  bool('help', 'show help', { short: 'h' }),
  bool('version', 'print the version', { short: 'v' }),
]

const consoleSocket = text('console-socket', 'a unix socket that is sent the terminal’s master end')
const pidfdSocket = text('pidfd-socket', 'a unix socket that is sent a descriptor of the process')
const pidFile = text('pid-file', 'write the process’s number to this file')
const preserve = number('preserve-fds', 'pass on this many descriptors after the standard ones and $LISTEN_FDS')
const bundle = text('bundle', 'the bundle’s directory; the current one otherwise', { short: 'b' })
const format = text('format', 'table or json', { short: 'f', default: 'table' })
const createFlags = [
  bundle,
  consoleSocket,
  pidfdSocket,
  pidFile,
  bool('no-pivot', 'enter the root by chroot(2): for a root on the initial RAM disk, which pivot_root(2) refuses'),
  bool('no-new-keyring', 'keep the caller’s session keyring'),
  preserve,
]
const id = '<container-id>'
const checkpointFlags = [
  text('image-path', 'directory of the image files'),
  text('work-path', 'directory of work files and logs'),
  text('parent-path', 'directory of the previous checkpoint'),
  bool('leave-running', 'leave the process running'),
  bool('tcp-established', 'allow open TCP connections'),
  bool('tcp-skip-in-flight', 'skip TCP connections on their way'),
  bool('link-remap', 'link unlinked files back'),
  bool('ext-unix-sk', 'allow external unix sockets'),
  bool('shell-job', 'allow shell jobs'),
  bool('lazy-pages', 'fetch memory when it is needed'),
  text('status-fd', 'descriptor to tell readiness on'),
  text('page-server', 'ADDRESS:PORT of a page server'),
  bool('file-locks', 'handle file locks'),
  bool('pre-dump', 'dump the memory only'),
  text('manage-cgroups-mode', 'soft, full, strict or ignore'),
  list('empty-ns', 'namespaces to leave empty'),
  bool('auto-dedup', 'free pages that later images have'),
]

export const verbs: readonly Verb[] = [
  {
    name: 'checkpoint',
    usage: 'checkpoint a running container (not available)',
    arguments: id,
    flags: checkpointFlags,
    least: 1,
    most: 1,
  },
  {
    name: 'create',
    usage: 'create a container',
    arguments: id,
    about:
      'Makes the container that the bundle’s config.json describes, everything up to its program, which waits for start.\nThe identifier is yours to choose, and names the container from then on.',
    flags: createFlags,
    least: 1,
    most: 1,
  },
  {
    name: 'delete',
    usage: 'delete a stopped container, with all that it holds',
    arguments: id,
    flags: [bool('force', 'kill it first where it runs; no complaint where there is none', { short: 'f' })],
    least: 1,
    most: 1,
  },
  {
    name: 'events',
    usage: 'show use of processor, memory and disks, and out-of-memory events',
    arguments: id,
    flags: [text('interval', 'time between two measures', { default: '5s' }), bool('stats', 'measure once, then end')],
    least: 1,
    most: 1,
  },
  {
    name: 'exec',
    usage: 'execute a further process in a running container',
    arguments: `${id} <command> [arguments...]  |  --process process.json ${id}`,
    flags: [
      consoleSocket,
      pidfdSocket,
      text('cwd', 'working directory in the container'),
      list('env', 'NAME=value for its environment', { short: 'e' }),
      bool('tty', 'give it a terminal', { short: 't' }),
      text('user', 'UID or UID:GID', { short: 'u' }),
      flag('list', 'additional-gids', 'a supplementary group', { short: 'g' }),
      text('process', 'a file with the process as JSON', { short: 'p' }),
      bool('detach', 'do not wait for its end', { short: 'd' }),
      pidFile,
      text('process-label', 'SELinux label'),
      text('apparmor', 'AppArmor profile'),
      bool('no-new-privs', 'execve(2) grants nothing'),
      list('cap', 'a further capability', { short: 'c' }),
      preserve,
      list('cgroup', '[CONTROLLER[,CONTROLLER]:]PATH of an existing group below the container’s'),
      bool('ignore-paused', 'also in a paused container'),
    ],
    least: 1,
    most: Number.POSITIVE_INFINITY,
    ordered: true,
  },
  {
    name: 'kill',
    usage: 'send a signal (SIGTERM unless another is named) to the container’s first process',
    arguments: `${id} [signal]`,
    about: 'The signal is a number, or a name with or without SIG.',
    flags: [bool('all', 'obsolete', { short: 'a', hidden: true })],
    least: 1,
    most: 2,
  },
  {
    name: 'list',
    usage: 'list the containers below --root',
    arguments: '',
    flags: [format, bool('quiet', 'identifiers only', { short: 'q' })],
    least: 0,
    most: 0,
  },
  { name: 'pause', usage: 'stop every process of a container in place', arguments: id, flags: [], least: 1, most: 1 },
  {
    name: 'ps',
    usage: 'show the processes of a container',
    arguments: `${id} [options of ps(1)]`,
    flags: [format],
    least: 1,
    most: Number.POSITIVE_INFINITY,
    ordered: true,
  },
  {
    name: 'restore',
    usage: 'restore a container from a checkpoint (not available)',
    arguments: id,
    flags: [
      ...createFlags,
      ...checkpointFlags,
      bool('detach', 'do not wait for its end', { short: 'd' }),
      bool('no-subreaper', 'do not adopt orphans'),
      text('lsm-profile', 'TYPE:LABEL of a security module'),
      text('lsm-mount-context', 'context of mounts'),
    ],
    least: 1,
    most: 1,
  },
  {
    name: 'resume',
    usage: 'let the processes of a paused container go on',
    arguments: id,
    flags: [],
    least: 1,
    most: 1,
  },
  {
    name: 'run',
    usage: 'create and start a container, and wait for its end',
    arguments: id,
    about: 'Ends as the container’s process does: with its exit code, or 128 and the signal’s number.',
    flags: [
      ...createFlags,
      bool('detach', 'do not wait for its end', { short: 'd' }),
      bool('keep', 'keep the container after its end'),
      bool('no-subreaper', 'do not adopt orphans'),
    ],
    least: 1,
    most: 1,
  },
  {
    name: 'spec',
    usage: 'write a config.json to begin with',
    arguments: '',
    flags: [bundle, bool('rootless', 'for a container of an ordinary user')],
    least: 0,
    most: 0,
  },
  { name: 'start', usage: 'start the program of a created container', arguments: id, flags: [], least: 1, most: 1 },
  { name: 'state', usage: 'show the state of a container', arguments: id, flags: [], least: 1, most: 1 },
  {
    name: 'update',
    usage: 'change the limits of a container',
    arguments: id,
    flags: [
      text('resources', 'a file with the resources as JSON (linux.resources of config.json), - for standard input', {
        short: 'r',
      }),
      number('blkio-weight', 'weight of block devices, 10 to 1000'),
      text('cpu-period', 'microseconds that --cpu-quota is of'),
      text('cpu-quota', 'microseconds of processor time in a period'),
      text('cpu-burst', 'microseconds that may be saved up beyond the quota'),
      text('cpu-share', 'weight of processor time'),
      text('cpu-rt-period', 'microseconds that --cpu-rt-runtime is of'),
      text('cpu-rt-runtime', 'microseconds of real-time scheduling in a period'),
      text('cpuset-cpus', 'processors'),
      text('cpuset-mems', 'memory nodes'),
      text('kernel-memory', 'obsolete, ignored', { hidden: true }),
      text('kernel-memory-tcp', 'obsolete, ignored', { hidden: true }),
      text('memory', 'bytes, or with the unit k, m, g'),
      text('cpu-idle', '1: only what no one else wants'),
      text('memory-reservation', 'bytes to which memory is reclaimed first'),
      text('memory-swap', 'bytes of memory and swap together, -1 for no limit'),
      number('pids-limit', 'number of processes'),
      text('l3-cache-schema', 'Intel RDT (not available)'),
      text('mem-bw-schema', 'Intel RDT (not available)'),
    ],
    least: 1,
    most: 1,
  },
  { name: 'features', usage: 'show what this runtime can do, as JSON', arguments: '', flags: [], least: 0, most: 0 },
]
