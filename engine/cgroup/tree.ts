/** The groups below a path, to look at: who is in, what is used, what is the limit. */
import type { Cgroup, CgroupHost } from './cgroup.ts'
import { children, read, readNumber } from './files.ts'

/** The field names are those of the API; whose container it is, is added there. */
export type GroupNode = {
  Path: string
  ContainerId: null
  ContainerName: null
  /** Of the group itself, not of those below. */
  Processes: number[]
  MemoryUsage: number | null
  MemoryLimit: number | null
  CpuLimit: number | null
  PidsLimit: number | null
  Children: GroupNode[]
}

export type GroupTree = { Version: 1 | 2; Controllers: string[]; Root: GroupNode }

type Numbers = Pick<GroupNode, 'MemoryUsage' | 'MemoryLimit' | 'CpuLimit' | 'PidsLimit'>

const orNull = (value: number | undefined): number | null => value ?? null

/** Microseconds of a period as processors. */
const processors = (quota: number | undefined, period: number | undefined): number | null =>
  quota === undefined || quota < 0 || period === undefined || period === 0 ? null : quota / period

function numbersV1({ memory, cpu, pids }: Readonly<Record<string, string>>): Numbers {
  const number = (directory: string | undefined, file: string): number | undefined =>
    directory === undefined ? undefined : readNumber(`${directory}/${file}`)
  return {
    MemoryUsage: orNull(number(memory, 'memory.usage_in_bytes')),
    MemoryLimit: orNull(number(memory, 'memory.limit_in_bytes')),
    CpuLimit: processors(number(cpu, 'cpu.cfs_quota_us'), number(cpu, 'cpu.cfs_period_us')),
    PidsLimit: orNull(number(pids, 'pids.max')),
  }
}

function numbersV2(directory: string): Numbers {
  const [quota = 'max', period] = (read(`${directory}/cpu.max`) ?? 'max').trim().split(' ')
  return {
    MemoryUsage: orNull(readNumber(`${directory}/memory.current`)),
    MemoryLimit: orNull(readNumber(`${directory}/memory.max`)),
    CpuLimit: quota === 'max' ? null : processors(Number(quota), Number(period)),
    PidsLimit: orNull(readNumber(`${directory}/pids.max`)),
  }
}

/** The directory that is asked for members: every v1 hierarchy has the same groups, the v2 side of a hybrid may lag. */
const memberDirectory = ({ version, directories }: Cgroup): string | undefined =>
  version === 2
    ? directories.unified
    : (directories.pids ?? directories.freezer ?? directories.memory ?? Object.values(directories)[0])

function node(host: CgroupHost, path: string): GroupNode {
  const group = host.group(path)
  const { directories } = group
  const directory = memberDirectory(group) ?? ''
  const lines = (read(`${directory}/cgroup.procs`) ?? '').split('\n').map(Number)
  return {
    Path: path,
    ContainerId: null,
    ContainerName: null,
    Processes: lines.filter((pid) => pid > 0),
    ...(group.version === 2 ? numbersV2(directory) : numbersV1(directories)),
    Children: children(directory)
      .toSorted()
      .map((name) => node(host, `${path}/${name}`)),
  }
}

/** A missing group is one without processes; groups that vanish meanwhile read as empty. */
export const cgroupTree = (host: CgroupHost, path: string): GroupTree => ({
  Version: host.version,
  Controllers: [...host.controllers],
  Root: node(host, path),
})
