/** What `stats` makes of a sample: the figures that docker's command line shows. Pure. */
import type { CpuStats, MemoryStats, Stats } from '../api/contract/docker.ts'

export type Figures = {
  cpu: number
  memory: number
  limit: number
  memoryShare: number
  received: number
  sent: number
  read: number
  written: number
  pids: number
}

/** Per cent of one processor, since the sample before. */
function cpuShare(now: CpuStats, before: CpuStats): number {
  const own = now.cpu_usage.total_usage - before.cpu_usage.total_usage
  const all = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0)
  return own > 0 && all > 0 ? (own / all) * (now.online_cpus ?? 1) * 100 : 0
}

/** Without what the kernel only keeps because nobody wants the room; its name is another on cgroup v1. */
function memoryUsed({ usage = 0, stats = {} }: MemoryStats): number {
  const inactive = stats.total_inactive_file ?? stats.inactive_file ?? 0
  return inactive < usage ? usage - inactive : usage
}

export function figuresOf(sample: Stats): Figures {
  const memory = memoryUsed(sample.memory_stats)
  const limit = sample.memory_stats.limit ?? 0
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const links = Object.values(sample.networks ?? {})
  const blocks = sample.blkio_stats.io_service_bytes_recursive ?? []
  const moved = (letter: string): number =>
    sum(blocks.filter(({ op }) => op.toLowerCase().startsWith(letter)).map(({ value }) => value))
  return {
    cpu: cpuShare(sample.cpu_stats, sample.precpu_stats),
    memory,
    limit,
    memoryShare: limit === 0 ? 0 : (memory / limit) * 100,
    received: sum(links.map(({ rx_bytes = 0 }) => rx_bytes)),
    sent: sum(links.map(({ tx_bytes = 0 }) => tx_bytes)),
    read: moved('r'),
    written: moved('w'),
    pids: sample.pids_stats.current ?? 0,
  }
}
