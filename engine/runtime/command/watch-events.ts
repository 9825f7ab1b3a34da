/** `events`: what a container uses, and when the kernel killed one of its processes for want of memory; as JSON lines. */
import { writeSync } from 'node:fs'
import { EngineError, messageOf } from '../../base/errors.ts'
import type { Cgroup, CgroupUse } from '../../cgroup/cgroup.ts'
import { pause } from '../../cgroup/files.ts'
import { isAlive } from './container-status.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'

const out = 1
/** Milliseconds between two looks at the kernel's count of kills. */
const lookEvery = 50

export function eventsVerb(containers: Containers, flags: ParsedFlags): number {
  const { record, cgroup, status } = containers.find(flags.args[0])
  const interval = milliseconds(flags.text('interval') ?? '5s')
  if (interval <= 0) throw new EngineError('invalid', 'duration interval must be greater than 0')
  if (status === 'stopped') throw new EngineError('conflict', `container with id ${record.id} is not running`)
  const tell = (type: string, data?: unknown): void => {
    writeSync(out, `${JSON.stringify({ type, id: record.id, ...(data === undefined ? {} : { data }) })}\n`)
  }
  if (flags.is('stats')) {
    tell('stats', statistics(cgroup.use()))
    return 0
  }
  let kills = killsOf(cgroup)
  for (let next = performance.now() + interval; isAlive(record); ) {
    pause(lookEvery)
    const now = killsOf(cgroup)
    for (; kills < now; kills += 1) tell('oom')
    if (performance.now() < next) continue
    next += interval
    try {
      tell('stats', statistics(cgroup.use()))
    } catch (error) {
      containers.log.error(messageOf(error))
    }
  }
  const last = killsOf(cgroup)
  for (; kills < last; kills += 1) tell('oom')
  return 0
}

/** A group that is gone kills nobody any more. */
function killsOf(cgroup: Cgroup): number {
  try {
    return cgroup.oomKills()
  } catch {
    return 0
  }
}

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Go's durations: `1m30s`, `500ms`. */
function milliseconds(text: string): number {
  const refuse = (): never => {
    throw new EngineError('invalid', `invalid value ${JSON.stringify(text)} for flag -interval: parse error`)
  }
  if (!/^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$|^0$/.test(text)) return refuse()
  let total = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(number) * units[unit!]!
  return text.startsWith('-') ? -total : total
}

const unlimited = 2 ** 64
const orAll = (limit: number | undefined): number => limit ?? unlimited

/** The field names and nesting of runc's statistics, which cAdvisor and the like read. */
function statistics({ cpu, memory, pids, io }: CgroupUse): unknown {
  const operations = io.flatMap(({ major, minor, readBytes, writeBytes, reads, writes }) => [
    { major, minor, bytes: readBytes, count: reads, op: 'Read' },
    { major, minor, bytes: writeBytes, count: writes, op: 'Write' },
  ])
  return {
    cpu: {
      usage: { total: cpu.usage, percpu: cpu.perCpu, kernel: cpu.system, user: cpu.user },
      throttling: {
        periods: cpu.periods,
        throttledPeriods: cpu.throttledPeriods,
        throttledTime: cpu.throttledTime,
      },
    },
    memory: {
      cache: memory.stat.cache ?? memory.stat.file ?? 0,
      usage: {
        limit: orAll(memory.limit),
        usage: memory.usage,
        max: memory.peak ?? 0,
        failcnt: memory.failures,
      },
      swap: { limit: orAll(memory.swapLimit), usage: memory.swapUsage ?? 0, failcnt: 0 },
      raw: memory.stat,
    },
    pids: { current: pids.current, ...(pids.limit === undefined ? {} : { limit: pids.limit }) },
    blkio: {
      ioServiceBytesRecursive: operations.map(({ count: _count, bytes, ...rest }) => ({ ...rest, value: bytes })),
      ioServicedRecursive: operations.map(({ bytes: _bytes, count, ...rest }) => ({ ...rest, value: count })),
    },
    hugetlb: {},
    intel_rdt: {},
    network_interfaces: null,
  }
}
