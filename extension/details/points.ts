import type { LimitsSample } from '../../engine/api/contract/drydock.ts'
import type { Point } from '../../webview/messages.ts'

/** Five minutes of seconds. */
export const historyLength = 300

/** Turns counters that only grow into what happened between two samples. The first sample has no rates yet. */
export class PointMaker {
  #last: LimitsSample | undefined

  push(sample: LimitsSample): Point {
    const last = this.#last
    this.#last = sample
    const time = Date.parse(sample.Read)
    const seconds = last ? (time - Date.parse(last.Read)) / 1000 : 0
    const rate = (now: number, before: number | undefined): number =>
      seconds > 0 && before !== undefined ? Math.max(0, now - before) / seconds : 0
    const { Memory, Cpu, Pids } = sample
    const periods = last ? Cpu.Periods - last.Cpu.Periods : 0
    return {
      time,
      memory: Memory.Usage,
      memoryLimit: Memory.Limit,
      memoryPeak: Memory.Peak,
      cpu: rate(Cpu.Usage, last?.Cpu.Usage) / 1e9,
      cpuLimit: Cpu.Quota !== null && Cpu.Period !== null && Cpu.Period > 0 ? Cpu.Quota / Cpu.Period : null,
      throttled: last && periods > 0 ? (Cpu.ThrottledPeriods - last.Cpu.ThrottledPeriods) / periods : 0,
      pids: Pids.Current,
      pidsLimit: Pids.Limit,
      read: rate(total(sample, 'ReadBytes'), last && total(last, 'ReadBytes')),
      write: rate(total(sample, 'WriteBytes'), last && total(last, 'WriteBytes')),
      pressure: pressureOf(sample),
      oomKills: Memory.OomKills,
      failures: Memory.Failures,
    }
  }
}

const total = (sample: LimitsSample, key: 'ReadBytes' | 'WriteBytes'): number =>
  sample.Io.reduce((sum, device) => sum + device[key], 0)

function pressureOf({ Pressure }: LimitsSample): Point['pressure'] {
  if (!Pressure) return null
  const some = (kind: 'Cpu' | 'Memory' | 'Io'): number | null => Pressure[kind]?.Some?.Avg10 ?? null
  return { cpu: some('Cpu'), memory: some('Memory'), io: some('Io') }
}
