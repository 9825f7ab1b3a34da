/** One control group, as the rest of the engine sees it: cgroup v1 (all its hierarchies together) or v2. cgroups(7). */
import type { OciResources } from '../spec/oci.ts'

export type CgroupUse = {
  memory: {
    /** Bytes in use, page cache included. */
    usage: number
    /** Bytes; undefined is no limit. */
    limit?: number
    peak?: number
    swapUsage?: number
    swapLimit?: number
    /** memory.stat, as the kernel names its fields. */
    stat: Record<string, number>
    /** Times the kernel killed a process of the group for want of memory. */
    oomKills: number
    failures: number
  }
  cpu: {
    /** Nanoseconds. */
    usage: number
    user: number
    system: number
    /** Per processor, v1 only. */
    perCpu?: number[]
    /** Microseconds of a period; undefined is no quota. */
    quota?: number
    period?: number
    shares?: number
    periods: number
    throttledPeriods: number
    /** Nanoseconds. */
    throttledTime: number
  }
  pids: { current: number; limit?: number }
  io: { major: number; minor: number; readBytes: number; writeBytes: number; reads: number; writes: number }[]
  /** Pressure stall information, where the kernel has it: percent of the last 10 s and 60 s, microseconds in total. */
  pressure?: Partial<Record<'cpu' | 'memory' | 'io', Partial<Record<'some' | 'full', Pressure>>>>
}

export type Pressure = { avg10: number; avg60: number; avg300: number; total: number }

export type Cgroup = {
  readonly version: 1 | 2
  /** As in OCI's cgroupsPath: `/drydock/ID`. */
  readonly path: string
  /** Directories that exist for the group, by v1 controller name; v2 has one, under `unified`. */
  readonly directories: Readonly<Record<string, string>>
  /**
   * A directory of cgroup v2 to be born in (CLONE_INTO_CGROUP), which takes no time, where moving in takes 5–50 ms. On a
   * machine with both versions it is the side of v2, which nobody is moved into. Absent where there is none.
   */
  readonly birthplace?: string | undefined
  /** Creates the group; EEXIST with processes in it is a conflict. Nothing is left behind when it throws. */
  create(): void
  /** Applies limits in an order the kernel accepts, also when they shrink or grow. An impossible one throws EngineError. */
  apply(resources: OciResources): void
  /**
   * Moves a process in. 0 is the caller, before it unshares its cgroup namespace; a single-threaded caller on v1 takes
   * 0.4 ms, all else 5–50 ms. From inside a pid namespace only 0 names the caller. Who was `born` in the group enters
   * what is left: nothing on v2.
   */
  enter(pid: number, born?: boolean): void
  /** Files into which a process that was born in the group, and is alone in its memory, writes `0`: `enter(0, true)`. */
  readonly doors: readonly string[]
  /** Whoever held the place until a process of its own is in goes; absent where nobody needs to. */
  settle?(): void
  /** All processes, of groups below it as well. */
  processes(): number[]
  freeze(): void
  thaw(): void
  frozen(): boolean
  /**
   * SIGKILL to everything inside, also what forks meanwhile; returns when all are gone or after `timeout` ms. A caller
   * that is the parent of some reaps them `meanwhile`: the first process of a PID namespace does not end before the last
   * of the others is reaped, and newer kernels count it as long.
   */
  kill(timeout: number, meanwhile?: () => void): void
  use(): CgroupUse
  /** Of `use`, without the rest: how many of its processes were killed for want of memory. */
  oomKills(): number
  /**
   * Whether its processes may be killed for want of memory where the machine has enough: the kernel looks for one in a
   * group with a limit, this one or one above, and ends with it whoever shares that one's memory.
   */
  memoryLimited(): boolean
  /** Removes the group and those below it; missing is fine. */
  remove(): void
}

/** What the machine offers: engine/cgroup/detect.ts finds out, once. */
export type CgroupHost = {
  readonly version: 1 | 2
  /** Controllers that can be used, e.g. `memory`, `cpu`, `pids`. */
  readonly controllers: readonly string[]
  group(path: string): Cgroup
}
