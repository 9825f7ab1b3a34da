/**
 * Where a peer runs: a network and a mount namespace of its own, so that its bridge, its packet filter rules and its
 * mounts are nobody else's and go away with it, and a temporary directory. Its containers get namespaces of their own,
 * so every process that is in this network is the peer itself.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const cache = join(import.meta.dirname, '../../.cache/bench')

/** Programs that were unpacked from Debian's packages instead of installed are found, too. */
export const searchPath = [
  ...['usr/sbin', 'usr/bin'].map((directory) => join(cache, 'docker', directory)),
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/sbin',
  '/sbin',
].join(delimiter)

const controllers = '/sys/fs/cgroup'

/** Some want no hierarchy of version 2 beside those of version 1; it is hidden from them only. */
export type PlaceOptions = { legacyCgroups?: boolean }

export class Place implements AsyncDisposable {
  readonly directory: string
  readonly name: string
  #holder: ChildProcess

  private constructor(name: string, { legacyCgroups = false }: PlaceOptions) {
    this.name = name
    this.directory = mkdtempSync(`/var/tmp/drydock-bench-${name}-`)
    const script = [
      'ip link set lo up; mkdir -p /var/lib/cni; mount -t tmpfs none /var/lib/cni',
      ...(legacyCgroups ? ['umount /sys/fs/cgroup/unified 2>&-'] : []),
      'echo; exec sleep infinity',
    ].join('; ')
    this.#holder = this.#start('unshare', ['--net', '--mount', 'sh', '-c', script], 'pipe')
  }

  static async open(name: string, options: PlaceOptions = {}): Promise<Place> {
    const place = new Place(name, options)
    await once(place.#holder.stdout!, 'data')
    return place
  }

  path(...names: string[]): string {
    return join(this.directory, ...names)
  }

  /** What the peer's programs write goes to the file `log` of the directory. */
  spawn(program: string, args: readonly string[]): ChildProcess {
    return this.#start('nsenter', [...this.#enter, program, ...args], openSync(this.path('log'), 'a'))
  }

  /** Runs to the end; throws with what it wrote where it fails. */
  run(program: string, args: readonly string[]): string {
    const result = spawnSync('nsenter', [...this.#enter, program, ...args], {
      env: { ...process.env, PATH: searchPath },
      encoding: 'utf8',
    })
    if (result.status !== 0) throw new Error(`${program} ${args[0]}: ${result.stderr || result.stdout || result.error}`)
    return result.stdout
  }

  /** Like run, but what stays behind and has its outputs open is not waited for. */
  runQuietly(program: string, args: readonly string[]): void {
    const env = { ...process.env, PATH: searchPath }
    const { status } = spawnSync('nsenter', [...this.#enter, program, ...args], {
      env,
      stdio: 'ignore',
      timeout: 30_000,
    })
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} answers ${status}`)
  }

  get log(): string {
    return readFileSync(this.path('log'), 'utf8')
  }

  /** The peer's own processes: not those of its containers. */
  processes(): number[] {
    const wanted = readlinkSync(`/proc/${this.#holder.pid}/ns/net`)
    return allProcesses().filter((pid) => pid !== this.#holder.pid && namespaceOf(pid) === wanted)
  }

  get #enter(): string[] {
    return [`--target=${this.#holder.pid}`, '--net', '--mount', '--']
  }

  /** In a session of its own: Ctrl-C is this program's to answer. */
  #start(program: string, args: readonly string[], output: 'pipe' | number): ChildProcess {
    const child = spawn(program, args, {
      env: { ...process.env, PATH: searchPath },
      stdio: ['ignore', output, output],
      detached: true,
    })
    child.on('error', () => {})
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const groups = readdirSync(controllers)
      .filter(isMounted)
      .map((controller) => join(controllers, controller, this.cgroup))
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const left = [...this.processes(), ...groups.flatMap(processesOfGroup)]
      for (const pid of left) killProcess(pid)
      if (left.length === 0) break
      await sleep(20)
    }
    for (const group of groups) removeGroup(group)
    removeFalseGroups(this.cgroup)
    this.#holder.kill('SIGKILL')
    await sleep(50)
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }

  /** The parent of its containers' control groups. */
  get cgroup(): string {
    return `drydock-bench-${this.name}-${process.pid}`
  }
}

export function allProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ''
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function processesOfGroup(group: string): number[] {
  try {
    const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const own = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
    return [...own, ...below.flatMap(({ name }) => processesOfGroup(join(group, name)))]
  } catch {
    return []
  }
}

const isMounted = (controller: string): boolean => existsSync(join(controllers, controller, 'cgroup.procs'))

/**
 * podman makes directories also for controllers that this machine has not mounted: they are no groups, and the numbers
 * in their files are of processes long gone.
 */
function removeFalseGroups(name: string): void {
  for (const controller of readdirSync(controllers)) {
    if (isMounted(controller)) continue
    const directory = join(controllers, controller)
    try {
      rmSync(join(directory, name), { recursive: true, force: true })
      rmdirSync(directory)
    } catch {
      // Another one's are in it.
    }
  }
}

function removeGroup(group: string): void {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true }))
      if (entry.isDirectory()) removeGroup(join(group, entry.name))
    rmdirSync(group)
  } catch {
    // Not every controller has it.
  }
}

/** Proportional set size of one process in MiB; 0 where it is gone. */
export function pss(pid: number): number {
  try {
    const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
    return Number(found?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
