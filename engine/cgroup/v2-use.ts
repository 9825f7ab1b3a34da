/** What a group of cgroup v2 uses, and how it is limited. */
import type { CgroupUse } from './cgroup.ts'
import { weightToShares } from './convert.ts'
import { read, readKeyed, readNumber } from './files.ts'
import { readPressure } from './pressure.ts'

function memoryUse(directory: string): CgroupUse['memory'] {
  const events = readKeyed(`${directory}/memory.events`)
  const limit = readNumber(`${directory}/memory.max`)
  const peak = readNumber(`${directory}/memory.peak`)
  const swap = readNumber(`${directory}/memory.swap.current`)
  const swapLimit = readNumber(`${directory}/memory.swap.max`)
  return {
    usage: readNumber(`${directory}/memory.current`) ?? 0,
    ...(limit === undefined ? {} : { limit }),
    ...(peak === undefined ? {} : { peak }),
    ...(swap === undefined ? {} : { swapUsage: swap }),
    ...(swapLimit === undefined ? {} : { swapLimit }),
    stat: readKeyed(`${directory}/memory.stat`),
    oomKills: events.oom_kill ?? 0,
    failures: events.oom ?? 0,
  }
}

function cpuUse(directory: string): CgroupUse['cpu'] {
  const stat = readKeyed(`${directory}/cpu.stat`)
  const [quota, period] = (read(`${directory}/cpu.max`) ?? '').trim().split(' ')
  const weight = readNumber(`${directory}/cpu.weight`)
  return {
    usage: (stat.usage_usec ?? 0) * 1000,
    user: (stat.user_usec ?? 0) * 1000,
    system: (stat.system_usec ?? 0) * 1000,
    ...(quota === undefined || quota === '' || quota === 'max' ? {} : { quota: Number(quota) }),
    ...(period === undefined ? {} : { period: Number(period) }),
    ...(weight === undefined ? {} : { shares: weightToShares(weight) }),
    periods: stat.nr_periods ?? 0,
    throttledPeriods: stat.nr_throttled ?? 0,
    throttledTime: (stat.throttled_usec ?? 0) * 1000,
  }
}

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0` lines. */
export function parseIoStat(text: string): CgroupUse['io'] {
  return text.split('\n').flatMap((line) => {
    const [device = '', ...fields] = line.trim().split(' ')
    const [major, minor] = device.split(':').map(Number)
    if (major === undefined || minor === undefined || fields.length === 0) return []
    const values = Object.fromEntries(fields.map((field) => field.split('=') as [string, string]))
    return [
      {
        major,
        minor,
        readBytes: Number(values.rbytes ?? 0),
        writeBytes: Number(values.wbytes ?? 0),
        reads: Number(values.rios ?? 0),
        writes: Number(values.wios ?? 0),
      },
    ]
  })
}

export function useV2(directory: string): CgroupUse {
  const limit = readNumber(`${directory}/pids.max`)
  const pressure = readPressure(directory)
  return {
    memory: memoryUse(directory),
    cpu: cpuUse(directory),
    pids: { current: readNumber(`${directory}/pids.current`) ?? 0, ...(limit === undefined ? {} : { limit }) },
    io: parseIoStat(read(`${directory}/io.stat`) ?? ''),
    ...(pressure === undefined ? {} : { pressure }),
  }
}
