/** Measurements as `docker stats` reads them; pure functions of a sample. */
import type { CgroupUse } from '../cgroup/cgroup.ts'
import type { Container } from '../lifecycle/container.ts'
import type { ContainerSample } from '../lifecycle/containers.ts'
import type { BlkioEntry, CpuStats, Stats } from './contract/docker.ts'

/** What the machine adds to a sample. */
export type MachineLoad = {
  /** Nanoseconds that all processors have been there for. */
  systemCpu: number
  onlineCpus: number
  /** Bytes. */
  memory: number
}

/**
 * @param stat the text of /proc/stat, whose times are in ticks of 1/100 s; proc_stat(5)
 */
export function machineLoad(stat: string, memory: number): MachineLoad {
  const rows = stat.split('\n')
  const total = rows[0]?.trim().split(/\s+/).slice(1, 8).map(Number) ?? []
  return {
    systemCpu: total.reduce((sum, ticks) => sum + ticks, 0) * 10_000_000,
    onlineCpus: rows.filter((row) => /^cpu\d/.test(row)).length,
    memory,
  }
}

const noCpu: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
}

export const emptyStats = (container: Pick<Container, 'id' | 'name'>): Stats => ({
  name: `/${container.name}`,
  id: container.id,
  read: '0001-01-01T00:00:00Z',
  preread: '0001-01-01T00:00:00Z',
  pids_stats: {},
  blkio_stats: {
    io_service_bytes_recursive: null,
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  },
  num_procs: 0,
  storage_stats: {},
  cpu_stats: noCpu,
  precpu_stats: noCpu,
  memory_stats: {},
})

const cpuStats = ({ cpu }: CgroupUse, machine: MachineLoad): CpuStats => ({
  cpu_usage: {
    total_usage: cpu.usage,
    ...(cpu.perCpu === undefined ? {} : { percpu_usage: cpu.perCpu }),
    usage_in_kernelmode: cpu.system,
    usage_in_usermode: cpu.user,
  },
  system_cpu_usage: machine.systemCpu,
  online_cpus: machine.onlineCpus,
  throttling_data: {
    periods: cpu.periods,
    throttled_periods: cpu.throttledPeriods,
    throttled_time: cpu.throttledTime,
  },
})

const blkio = ({ io }: CgroupUse): BlkioEntry[] =>
  io.flatMap(({ major, minor, readBytes, writeBytes }) => [
    { major, minor, op: 'read', value: readBytes },
    { major, minor, op: 'write', value: writeBytes },
  ])

/** `previous` fills what a difference is taken from. */
export function statsView(
  container: Pick<Container, 'id' | 'name'>,
  sample: ContainerSample,
  machine: MachineLoad,
  previous: Stats | undefined,
): Stats {
  const { memory, pids } = sample.use
  const base = emptyStats(container)
  return {
    ...base,
    read: sample.read,
    preread: previous?.read ?? base.preread,
    pids_stats: { current: pids.current, ...(pids.limit === undefined ? {} : { limit: pids.limit }) },
    blkio_stats: { ...base.blkio_stats, io_service_bytes_recursive: blkio(sample.use) },
    cpu_stats: cpuStats(sample.use, machine),
    precpu_stats: previous?.cpu_stats ?? noCpu,
    memory_stats: {
      usage: memory.usage,
      ...(memory.peak === undefined ? {} : { max_usage: memory.peak }),
      stats: memory.stat,
      failcnt: memory.failures,
      limit: Math.min(memory.limit ?? machine.memory, machine.memory),
    },
    networks: sample.networks,
  }
}
