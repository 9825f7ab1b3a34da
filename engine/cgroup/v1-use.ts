/** What a group of cgroup v1 uses, and how it is limited. Pressure per group exists on v2 only. */
import type { CgroupUse } from './cgroup.ts'
import { read, readKeyed, readNumber } from './files.ts'

type Directories = Readonly<Record<string, string>>

export const oomKillsV1 = (memory: string): number => readKeyed(`${memory}/memory.oom_control`).oom_kill ?? 0

function memoryUse(directory: string): CgroupUse['memory'] {
  const usage = readNumber(`${directory}/memory.usage_in_bytes`) ?? 0
  const limit = readNumber(`${directory}/memory.limit_in_bytes`)
  const peak = readNumber(`${directory}/memory.max_usage_in_bytes`)
  const both = readNumber(`${directory}/memory.memsw.usage_in_bytes`)
  const bothLimit = readNumber(`${directory}/memory.memsw.limit_in_bytes`)
  return {
    usage,
    ...(limit === undefined ? {} : { limit }),
    ...(peak === undefined ? {} : { peak }),
    ...(both === undefined ? {} : { swapUsage: Math.max(0, both - usage) }),
    ...(bothLimit === undefined || limit === undefined ? {} : { swapLimit: bothLimit - limit }),
    stat: readKeyed(`${directory}/memory.stat`),
    oomKills: oomKillsV1(directory),
    // Where memory and swap together have the same limit as memory alone, it is the one of both that is met.
    failures: failures(`${directory}/memory.failcnt`) + failures(`${directory}/memory.memsw.failcnt`),
  }
}

const failures = (file: string): number => readNumber(file) ?? 0

/** User and system time are exact from 4.7 on (cpuacct.usage_user); cpuacct.stat has ticks of 10 ms. */
function times(directory: string): { usage: number; user: number; system: number; perCpu: number[] } {
  return {
    usage: readNumber(`${directory}/cpuacct.usage`) ?? 0,
    user: readNumber(`${directory}/cpuacct.usage_user`) ?? 0,
    system: readNumber(`${directory}/cpuacct.usage_sys`) ?? 0,
    perCpu: (read(`${directory}/cpuacct.usage_percpu`) ?? '').trim().split(' ').filter(Boolean).map(Number),
  }
}

function cpuUse(cpu: string | undefined, accounting: string | undefined): CgroupUse['cpu'] {
  const { perCpu, ...spent } =
    accounting === undefined ? { usage: 0, user: 0, system: 0, perCpu: [] } : times(accounting)
  const stat = cpu === undefined ? {} : readKeyed(`${cpu}/cpu.stat`)
  const quota = cpu === undefined ? undefined : readNumber(`${cpu}/cpu.cfs_quota_us`)
  const period = cpu === undefined ? undefined : readNumber(`${cpu}/cpu.cfs_period_us`)
  const shares = cpu === undefined ? undefined : readNumber(`${cpu}/cpu.shares`)
  return {
    ...spent,
    ...(perCpu.length === 0 ? {} : { perCpu }),
    ...(quota === undefined || quota < 0 ? {} : { quota }),
    ...(period === undefined ? {} : { period }),
    ...(shares === undefined ? {} : { shares }),
    periods: stat.nr_periods ?? 0,
    throttledPeriods: stat.nr_throttled ?? 0,
    throttledTime: stat.throttled_time ?? 0,
  }
}

/** `8:0 Read 4096` lines, of bytes and of operations. */
function blockUse(directory: string): CgroupUse['io'] {
  const devices = new Map<string, CgroupUse['io'][number]>()
  const files = [
    ['io_service_bytes_recursive', 'readBytes', 'writeBytes'],
    ['io_serviced_recursive', 'reads', 'writes'],
  ] as const
  for (const [file, onRead, onWrite] of files)
    for (const line of (read(`${directory}/blkio.throttle.${file}`) ?? '').split('\n')) {
      const [device = '', operation, value] = line.split(' ')
      const [major, minor] = device.split(':').map(Number)
      if (major === undefined || minor === undefined || value === undefined) continue
      const entry = devices.get(device) ?? { major, minor, readBytes: 0, writeBytes: 0, reads: 0, writes: 0 }
      if (operation === 'Read') entry[onRead] = Number(value)
      if (operation === 'Write') entry[onWrite] = Number(value)
      devices.set(device, entry)
    }
  return [...devices.values()]
}

export function useV1(directories: Directories): CgroupUse {
  const { memory, cpu, cpuacct, pids, blkio } = directories
  const limit = pids === undefined ? undefined : readNumber(`${pids}/pids.max`)
  return {
    memory: memory === undefined ? { usage: 0, stat: {}, oomKills: 0, failures: 0 } : memoryUse(memory),
    cpu: cpuUse(cpu, cpuacct),
    pids: {
      current: (pids === undefined ? undefined : readNumber(`${pids}/pids.current`)) ?? 0,
      ...(limit === undefined ? {} : { limit }),
    },
    io: blkio === undefined ? [] : blockUse(blkio),
  }
}
