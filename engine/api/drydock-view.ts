/** The layers below a container as the extension shows them: domain → wire, nothing else. */
import type { CgroupUse, Pressure } from '../cgroup/cgroup.ts'
import type { Container } from '../lifecycle/container.ts'
import type { CgroupNode, LimitsSample, NamespaceInfo, PressureLine } from './contract/drydock.ts'
import type { KernelNamespace } from './engine.ts'

/** Who a process belongs to: looked up once for all members of all namespaces. */
export type OwnerOf = (pid: number) => Pick<Container, 'id' | 'name'> | undefined

export const namespaceView = (namespace: KernelNamespace, ownerOf: OwnerOf): NamespaceInfo => ({
  ...namespace,
  Members: namespace.Members.map(({ Pid, Command }) => {
    const owner = ownerOf(Pid)
    return { Pid, Command, ContainerId: owner?.id ?? null, ContainerName: owner?.name ?? null }
  }),
})

/** Names the groups that are containers', by the last part of their path. */
export function namedGroup(node: CgroupNode, byId: ReadonlyMap<string, Pick<Container, 'id' | 'name'>>): CgroupNode {
  const owner = byId.get(node.Path.split('/').at(-1) ?? '')
  return {
    ...node,
    ContainerId: owner?.id ?? null,
    ContainerName: owner?.name ?? null,
    Children: node.Children.map((child) => namedGroup(child, byId)),
  }
}

const line = (pressure: Pressure | undefined): PressureLine | null =>
  pressure === undefined
    ? null
    : { Avg10: pressure.avg10, Avg60: pressure.avg60, Avg300: pressure.avg300, Total: pressure.total }

function pressureView({ pressure }: CgroupUse): LimitsSample['Pressure'] {
  if (pressure === undefined) return null
  const of = (kind: 'cpu' | 'memory' | 'io') => {
    const found = pressure[kind]
    return found === undefined ? null : { Some: line(found.some), Full: line(found.full) }
  }
  return { Cpu: of('cpu'), Memory: of('memory'), Io: of('io') }
}

/** @param online processors of the machine */
export const limitsView = (read: string, use: CgroupUse, online: number): LimitsSample => ({
  Read: read,
  Memory: {
    Usage: use.memory.usage,
    Limit: use.memory.limit ?? null,
    Peak: use.memory.peak ?? null,
    Swap: use.memory.swapUsage ?? null,
    SwapLimit: use.memory.swapLimit ?? null,
    OomKills: use.memory.oomKills,
    Failures: use.memory.failures,
    Stat: use.memory.stat,
  },
  Cpu: {
    Usage: use.cpu.usage,
    User: use.cpu.user,
    System: use.cpu.system,
    Quota: use.cpu.quota ?? null,
    Period: use.cpu.period ?? null,
    Shares: use.cpu.shares ?? null,
    Periods: use.cpu.periods,
    ThrottledPeriods: use.cpu.throttledPeriods,
    ThrottledTime: use.cpu.throttledTime,
    Online: online,
  },
  Pids: { Current: use.pids.current, Limit: use.pids.limit ?? null },
  Io: use.io.map(({ major, minor, readBytes, writeBytes, reads, writes }) => ({
    Major: major,
    Minor: minor,
    ReadBytes: readBytes,
    WriteBytes: writeBytes,
    Reads: reads,
    Writes: writes,
  })),
  Pressure: pressureView(use),
})
