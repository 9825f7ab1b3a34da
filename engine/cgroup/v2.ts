/** cgroup v2: one directory with files of all controllers. Linux Documentation/admin-guide/cgroup-v2.rst. */
import { existsSync, mkdirSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { OciResources } from '../spec/oci.ts'
import type { Cgroup, CgroupUse } from './cgroup.ts'
import { children, limitedUpwards, processesBelow, read, readKeyed, removeTree, waitUntil, write } from './files.ts'
import { killAll, notGone } from './kill.ts'
import { ancestry, cgroupPath } from './path.ts'
import { applyV2 } from './v2-limits.ts'
import { useV2 } from './v2-use.ts'

const freezePatience = 2000

/** The leaf that the processes of a group move to before it may hand controllers down. */
const leafName = 'drydock-daemon'

/** A group with processes of its own cannot have controllers for those below: "no internal processes". */
export function evacuate(directory: string): void {
  const leaf = `${directory}/${leafName}`
  mkdirSync(leaf, { recursive: true })
  const empty = waitUntil(() => {
    const pids = (read(`${directory}/cgroup.procs`) ?? '').split('\n').filter((line) => Number(line) > 0)
    for (const pid of pids) {
      try {
        write(`${leaf}/cgroup.procs`, pid)
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error
      }
    }
    return pids.length === 0
  }, 1000)
  if (!empty) throw new EngineError('unavailable', `the control group ${directory} does not get free of processes`)
}

/** The root of the machine's hierarchy, which has no cgroup.type, may keep its processes; every other group may not. */
const mustBeEmpty = (directory: string): boolean =>
  existsSync(`${directory}/cgroup.type`) && (read(`${directory}/cgroup.procs`) ?? '') !== ''

/**
 * Hands the controllers down to the groups below. Processes leave before the first one: cpu and pids could be enabled
 * over them, but that turns the groups below into threaded ones, which no process can enter. One write each: a
 * controller that is missing fails the whole write.
 */
export function enableControllers(directory: string, controllers: readonly string[]): void {
  const enabled = (read(`${directory}/cgroup.subtree_control`) ?? '').trim().split(' ')
  const available = (read(`${directory}/cgroup.controllers`) ?? '').trim().split(' ')
  const missing = controllers.filter((name) => !enabled.includes(name) && available.includes(name))
  if (missing.length > 0 && mustBeEmpty(directory)) evacuate(directory)
  for (const controller of missing) write(`${directory}/cgroup.subtree_control`, `+${controller}`)
}

/** The first group at or below with processes of its own, outer ones first. */
function occupied(directory: string): string | undefined {
  for (let level = [directory]; level.length > 0; ) {
    const found = level.find((one) => (read(`${one}/cgroup.procs`) ?? '') !== '')
    if (found !== undefined) return found
    level = level.flatMap((one) => children(one).map((name) => `${one}/${name}`))
  }
  return undefined
}

export class CgroupV2 implements Cgroup {
  readonly version = 2
  readonly path: string
  readonly directories: Readonly<Record<string, string>>
  readonly #directory: string
  readonly #root: string
  readonly #controllers: readonly string[]

  /** `root`: the directory that paths count from, the mount point or a delegated group. */
  constructor(untrusted: string, root: string, controllers: readonly string[]) {
    this.path = cgroupPath(untrusted)
    this.#root = root
    this.#controllers = controllers
    this.#directory = `${root}${this.path}`
    this.directories = { unified: this.#directory }
  }

  get birthplace(): string {
    return this.#directory
  }

  create(): void {
    const existed = existsSync(this.#directory)
    if (existed && processesBelow(this.#directory).length > 0)
      throw new EngineError('conflict', `the control group ${this.#directory} exists and has processes in it`)
    using cleanup = new DisposableStack()
    let parent = this.#root
    for (const step of ancestry(this.path)) {
      enableControllers(parent, this.#controllers)
      parent = `${this.#root}${step}`
      mkdirSync(parent, { recursive: true })
    }
    if (!existed) cleanup.defer(() => removeTree(this.#directory))
    const type = read(`${this.#directory}/cgroup.type`)?.trim()
    if (type === 'domain invalid')
      throw new EngineError('unavailable', `the control group ${this.#directory} lies below a threaded one`)
    cleanup.move()
  }

  apply(resources: OciResources): void {
    applyV2(this.#directory, resources)
  }

  /**
   * A container that runs containers has handed controllers down, and its own group takes nobody any more: then the
   * place is beside its other processes.
   */
  enter(pid: number, born = false): void {
    if (born) return
    try {
      write(`${this.#directory}/cgroup.procs`, pid)
    } catch (error) {
      const inside = isErrno(error, 'EBUSY', 'ENOTSUP', 'EOPNOTSUPP') ? occupied(this.#directory) : undefined
      if (inside === undefined) throw error
      write(`${inside}/cgroup.procs`, pid)
    }
  }

  readonly doors = []

  processes(): number[] {
    return processesBelow(this.#directory)
  }

  freeze(): void {
    write(`${this.#directory}/cgroup.freeze`, 1)
    if (waitUntil(() => this.frozen(), freezePatience)) return
    this.thaw()
    throw new EngineError('internal', `pausing ${this.path}: a process did not stop within ${freezePatience} ms`)
  }

  thaw(): void {
    write(`${this.#directory}/cgroup.freeze`, 0)
  }

  frozen(): boolean {
    return readKeyed(`${this.#directory}/cgroup.events`).frozen === 1
  }

  kill(timeout: number, meanwhile?: () => void): void {
    if (!existsSync(this.#directory)) return
    try {
      write(`${this.#directory}/cgroup.kill`, 1)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
      killAll(this, timeout, meanwhile)
      return
    }
    const empty = (): boolean => {
      meanwhile?.()
      return readKeyed(`${this.#directory}/cgroup.events`).populated !== 1
    }
    if (!waitUntil(empty, timeout)) throw notGone(this, timeout)
  }

  use(): CgroupUse {
    return useV2(this.#directory)
  }

  oomKills(): number {
    return readKeyed(`${this.#directory}/memory.events`).oom_kill ?? 0
  }

  memoryLimited(): boolean {
    return limitedUpwards(this.#directory, 'memory.max')
  }

  remove(): void {
    removeTree(this.#directory)
  }
}
