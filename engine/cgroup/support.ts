/** Which limits this machine can keep, and dockerd's warnings for those it cannot. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { OciResources } from '../spec/oci.ts'
import type { Cgroup, CgroupHost } from './cgroup.ts'
import { children } from './files.ts'

export type Supported = { resources: OciResources; warnings: string[] }

const discarded = (what: string, rest: string): string =>
  `Your kernel does not support ${what} or the cgroup is not mounted. ${rest}`

type Check = {
  asked: (resources: OciResources) => boolean
  /** Files of a group, any of which is enough. */
  v1: readonly [controller: string, ...files: string[]]
  v2: readonly string[]
  without: (resources: OciResources) => OciResources
  warning: string
}

const withoutMemory =
  (...keys: (keyof NonNullable<OciResources['memory']>)[]) =>
  (resources: OciResources): OciResources => ({ ...resources, memory: omit(resources.memory ?? {}, keys) })
const withoutCpu =
  (...keys: (keyof NonNullable<OciResources['cpu']>)[]) =>
  (resources: OciResources): OciResources => ({ ...resources, cpu: omit(resources.cpu ?? {}, keys) })
const withoutIo =
  (...keys: (keyof NonNullable<OciResources['blockIO']>)[]) =>
  (resources: OciResources): OciResources => ({ ...resources, blockIO: omit(resources.blockIO ?? {}, keys) })

const omit = <T extends object>(value: T, keys: readonly (keyof T)[]): T =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key as keyof T))) as T

/** One row per limit that a kernel may lack. An empty v2 list: cgroup v2 has no such limit. */
const checks: readonly Check[] = [
  {
    asked: ({ memory }) => memory?.limit !== undefined,
    v1: ['memory', 'memory.limit_in_bytes'],
    v2: ['memory.max'],
    without: withoutMemory('limit', 'swap'),
    warning: discarded('memory limit capabilities', 'Limitation discarded.'),
  },
  {
    asked: ({ memory }) => memory?.swap !== undefined && memory.swap !== -1,
    v1: ['memory', 'memory.memsw.limit_in_bytes'],
    v2: ['memory.swap.max'],
    without: withoutMemory('swap'),
    warning: discarded('swap limit capabilities', 'Memory limited without swap.'),
  },
  {
    asked: ({ memory }) => memory?.reservation !== undefined,
    v1: ['memory', 'memory.soft_limit_in_bytes'],
    v2: ['memory.low'],
    without: withoutMemory('reservation'),
    warning: discarded('memory soft limit capabilities', 'Limitation discarded.'),
  },
  {
    asked: ({ memory }) => memory?.swappiness !== undefined,
    v1: ['memory', 'memory.swappiness'],
    v2: [],
    without: withoutMemory('swappiness'),
    warning: discarded('memory swappiness capabilities', 'Memory swappiness discarded.'),
  },
  {
    asked: ({ memory }) => memory?.disableOOMKiller === true,
    v1: ['memory', 'memory.oom_control'],
    v2: [],
    without: withoutMemory('disableOOMKiller'),
    warning: 'Your kernel does not support OomKillDisable. OomKillDisable discarded.',
  },
  {
    asked: ({ pids }) => pids !== undefined && pids.limit > 0,
    v1: ['pids', 'pids.max'],
    v2: ['pids.max'],
    without: ({ pids: _, ...rest }) => rest,
    warning: discarded('PIDs limit capabilities', 'PIDs limit discarded.'),
  },
  {
    asked: ({ cpu }) => cpu?.shares !== undefined,
    v1: ['cpu', 'cpu.shares'],
    v2: ['cpu.weight'],
    without: withoutCpu('shares'),
    warning: discarded('CPU shares', 'Shares discarded.'),
  },
  {
    asked: ({ cpu }) => cpu?.quota !== undefined || cpu?.period !== undefined,
    v1: ['cpu', 'cpu.cfs_quota_us'],
    v2: ['cpu.max'],
    without: withoutCpu('quota', 'period'),
    warning: 'Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.',
  },
  {
    asked: ({ cpu }) => cpu?.cpus !== undefined || cpu?.mems !== undefined,
    v1: ['cpuset', 'cpuset.cpus'],
    v2: ['cpuset.cpus'],
    without: withoutCpu('cpus', 'mems'),
    warning: discarded('cpuset', 'Cpuset discarded.'),
  },
  {
    asked: ({ blockIO }) => blockIO?.weight !== undefined,
    v1: ['blkio', 'blkio.bfq.weight', 'blkio.weight'],
    v2: ['io.bfq.weight', 'io.weight'],
    without: withoutIo('weight'),
    warning: discarded('Block I/O weight', 'Weight discarded.'),
  },
  {
    asked: ({ blockIO }) => blockIO?.weightDevice !== undefined,
    v1: ['blkio', 'blkio.bfq.weight_device', 'blkio.weight_device'],
    v2: ['io.bfq.weight', 'io.weight'],
    without: withoutIo('weightDevice'),
    warning: discarded('Block I/O weight_device', 'Weight-device discarded.'),
  },
]

const found = new Map<CgroupHost, ReadonlySet<Check>>()

const probeName = /^drydock-probe-(\d+)$/

/** What one who was killed while looking has left, in all hierarchies or in some. */
function forgetProbes(host: CgroupHost, { directories, birthplace }: Cgroup): void {
  const places = new Set([...Object.values(directories), birthplace ?? []].flat().map(dirname))
  const names = new Set([...places].flatMap(children))
  for (const name of names) {
    const pid = probeName.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) host.group(`/${name}`).remove()
  }
}

/** Some files are missing in the root, so a group is made to look, once. */
function supportedChecks(host: CgroupHost): ReadonlySet<Check> {
  const known = found.get(host)
  if (known !== undefined) return known
  const group = host.group(`/drydock-probe-${process.pid}`)
  using cleanup = new DisposableStack()
  group.create()
  cleanup.defer(() => group.remove())
  forgetProbes(host, group)
  const { directories } = group
  const supported = checks.filter(({ v1: [controller, ...files], v2 }) => {
    const directory = host.version === 2 ? directories.unified : directories[controller]
    const names = host.version === 2 ? v2 : files
    return directory !== undefined && names.some((name) => existsSync(`${directory}/${name}`))
  })
  const result = new Set(supported)
  found.set(host, result)
  return result
}

/** What can be applied, and a sentence for each limit that was left out, as dockerd answers at create. */
export function supportedResources(host: CgroupHost, asked: OciResources): Supported {
  const supported = supportedChecks(host)
  const missing = checks.filter((check) => check.asked(asked) && !supported.has(check))
  let resources = asked
  for (const { without } of missing) resources = without(resources)
  return { resources, warnings: missing.map(({ warning }) => warning) }
}
