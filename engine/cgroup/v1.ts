/** cgroup v1: one directory per controller, all of them together are one group. cgroups(7) "Cgroups version 1". */
import { existsSync, readdirSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { currentPid } from '../kernel/process.ffi.ts'
import type { OciResources } from '../spec/oci.ts'
import type { Cgroup, CgroupUse } from './cgroup.ts'
import { limitedUpwards, makeGroup, processesBelow, read, removeTree, waitUntil, write } from './files.ts'
import { killAll } from './kill.ts'
import { ancestry, cgroupPath } from './path.ts'
import { applyV1 } from './v1-limits.ts'
import { oomKillsV1, useV1 } from './v1-use.ts'

const freezePatience = 2000

/** A new cpuset has no processors and no memory nodes, and takes no process in until it has; cpuset(7). */
function inheritCpuset(root: string, path: string): void {
  const directory = `${root}${path}`
  const parent = path.slice(0, path.lastIndexOf('/'))
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (read(`${directory}/${file}`)?.trim() !== '') continue
    if (parent !== '' && read(`${root}${parent}/${file}`)?.trim() === '') inheritCpuset(root, parent)
    write(`${directory}/${file}`, read(`${root}${parent}/${file}`) ?? '')
  }
}

/** Kernels before 5.11 count memory of the groups below only where this says so. */
function countMemoryBelow(root: string, path: string): void {
  for (const step of ancestry(path).slice(0, -1)) {
    const file = `${root}${step}/memory.use_hierarchy`
    if (read(file)?.trim() === '0') write(file, 1)
  }
}

/** Whether the caller is its only thread, so that moving the thread moves the process. */
const singleThreaded = (): boolean => {
  try {
    return readdirSync('/proc/self/task').length === 1
  } catch {
    return false
  }
}

const denied = (error: unknown): boolean => isErrno(error, 'EROFS', 'EACCES', 'EPERM')

/** Whether it is new: not everybody may make groups there, and nobody needs one. */
function makeSide(directory: string): boolean {
  try {
    return makeGroup(directory)
  } catch (error) {
    if (!denied(error)) throw error
    return false
  }
}

function removeSide(directory: string): void {
  try {
    removeTree(directory)
  } catch (error) {
    if (!denied(error)) throw error
  }
}

export class CgroupV1 implements Cgroup {
  readonly version = 1
  readonly path: string
  readonly directories: Readonly<Record<string, string>>
  readonly #roots: Readonly<Record<string, string>>
  readonly #distinct: readonly string[]
  /** The group on the side of v2. */
  readonly #side: string | undefined

  /**
   * @param roots mount points by controller; two controllers can share one
   * @param unified where a machine with both versions has v2
   */
  constructor(untrusted: string, roots: Readonly<Record<string, string>>, unified?: string) {
    this.path = cgroupPath(untrusted)
    this.#roots = roots
    this.directories = Object.fromEntries(Object.entries(roots).map(([name, root]) => [name, `${root}${this.path}`]))
    this.#distinct = [...new Set(Object.values(this.directories))]
    this.#side = unified === undefined ? undefined : `${unified}${this.path}`
  }

  /** Not there where the side of v2 cannot be written, or the group was made by an engine that left it alone. */
  get birthplace(): string | undefined {
    return this.#side !== undefined && existsSync(this.#side) ? this.#side : undefined
  }

  /** The hierarchy that is asked who is in. */
  get #members(): string {
    const { pids, freezer, memory, cpu } = this.directories
    return pids ?? freezer ?? memory ?? cpu ?? (this.#distinct[0] as string)
  }

  create(): void {
    using cleanup = new DisposableStack()
    for (const directory of this.#distinct) {
      if (makeGroup(directory)) cleanup.defer(() => removeTree(directory))
      else if (processesBelow(directory).length > 0)
        throw new EngineError('conflict', `the control group ${directory} exists and has processes in it`)
    }
    if (this.#side !== undefined && makeSide(this.#side)) cleanup.defer(() => removeSide(this.#side!))
    const { cpuset, memory } = this.#roots
    if (cpuset !== undefined) inheritCpuset(cpuset, this.path)
    if (memory !== undefined) countMemoryBelow(memory, this.path)
    cleanup.move()
  }

  apply(resources: OciResources): void {
    applyV1(this.directories, resources)
  }

  /**
   * A write of `0` to `tasks` is the one way in that does not take the kernel's lock on all forks and exits; any other
   * waits for RCU grace periods: 5–50 ms measured, against 0.4 ms. It moves the calling thread, so it must be alone.
   */
  enter(pid: number): void {
    // The side of v2 limits nothing: to be moved there is not worth a wait for RCU.
    const alone = (pid === 0 || pid === currentPid()) && singleThreaded()
    for (const directory of this.#distinct)
      if (alone) write(`${directory}/tasks`, 0)
      else write(`${directory}/cgroup.procs`, pid)
  }

  get doors(): string[] {
    return this.#distinct.map((directory) => `${directory}/tasks`)
  }

  processes(): number[] {
    return processesBelow(this.#members)
  }

  #freezer(): string {
    const directory = this.directories.freezer
    if (directory === undefined)
      throw new EngineError('unavailable', `pausing ${this.path}: the freezer controller is not mounted`)
    return `${directory}/freezer.state`
  }

  freeze(): void {
    const file = this.#freezer()
    // A process in the middle of fork(2) can escape one write; the state stays FREEZING and a further write helps.
    const done = waitUntil(() => {
      write(file, 'FROZEN')
      return read(file)?.trim() === 'FROZEN'
    }, freezePatience)
    if (done) return
    write(file, 'THAWED')
    throw new EngineError('internal', `pausing ${this.path}: a process did not stop within ${freezePatience} ms`)
  }

  thaw(): void {
    write(this.#freezer(), 'THAWED')
  }

  frozen(): boolean {
    const directory = this.directories.freezer
    return directory !== undefined && read(`${directory}/freezer.state`)?.trim() === 'FROZEN'
  }

  kill(timeout: number, meanwhile?: () => void): void {
    killAll(this, timeout, meanwhile)
  }

  use(): CgroupUse {
    return useV1(this.directories)
  }

  oomKills(): number {
    const { memory } = this.directories
    return memory === undefined ? 0 : oomKillsV1(memory)
  }

  memoryLimited(): boolean {
    const { memory } = this.directories
    return memory !== undefined && limitedUpwards(memory, 'memory.limit_in_bytes')
  }

  remove(): void {
    for (const directory of this.#distinct) removeTree(directory)
    if (this.#side !== undefined) removeSide(this.#side)
  }
}
