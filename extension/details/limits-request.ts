import type { HostConfig, UpdateRequest } from '../../engine/api/contract/docker.ts'
import type { LimitField, LimitTexts } from '../../webview/messages.ts'
import { parseBytes } from '../engine-client/format.ts'

/** Docker refuses less. */
const leastMemory = 6 * 1024 ** 2

/** The kernel's own period. Microseconds. */
const quotaPeriod = 100_000

/** The limits of a container as a person would write them. */
export function limitTexts(config: HostConfig): LimitTexts {
  const quota = config.CpuQuota ? config.CpuQuota / (config.CpuPeriod || quotaPeriod) : 0
  const cpus = config.NanoCpus ? config.NanoCpus / 1e9 : quota
  return {
    memory: config.Memory && config.Memory > 0 ? bytesText(config.Memory) : '',
    cpus: cpus > 0 ? String(cpus) : '',
    pids: config.PidsLimit && config.PidsLimit > 0 ? String(config.PidsLimit) : '',
  }
}

/** The shortest exact form: 536870912 is `512m`. */
export function bytesText(bytes: number): string {
  for (const [unit, size] of [
    ['g', 1024 ** 3],
    ['m', 1024 ** 2],
    ['k', 1024],
  ] as const)
    if (bytes % size === 0) return `${bytes / size}${unit}`
  return String(bytes)
}

export type LimitsRequest = { body: UpdateRequest } | { field: LimitField; sentence: string }

/** What to change, or one sentence why it can't be. */
type Part = UpdateRequest | string

/**
 * The update that brings the limits from what `before` says to `after`; only what differs is in it. `processors` is how
 * many the machine has.
 */
export function limitsRequest(before: HostConfig, after: LimitTexts, processors: number): LimitsRequest {
  const old = limitTexts(before)
  const parts: Record<LimitField, (text: string) => Part> = {
    memory: memoryPart,
    cpus: (text) => cpuPart(text, before, processors),
    pids: pidsPart,
  }
  const body: UpdateRequest = {}
  for (const field of ['memory', 'cpus', 'pids'] as const) {
    const text = after[field].trim()
    if (text === old[field]) continue
    const part = parts[field](text)
    if (typeof part === 'string') return { field, sentence: part }
    Object.assign(body, part)
  }
  return { body }
}

/** Docker's update reads 0 as "leave it": -1 takes away. Swap follows at twice the size, as `docker run` sets it. */
function memoryPart(text: string): Part {
  if (text === '') return { Memory: -1, MemorySwap: -1 }
  const bytes = parseBytes(text)
  if (bytes === null || bytes < leastMemory) return 'Write a size of at least 6m, for example 512m or 2g.'
  return { Memory: bytes, MemorySwap: bytes * 2 }
}

/**
 * Docker keeps the two ways to say it apart: what began as a quota stays one. No limit can be said as a quota only;
 * the other way, all processors of the machine are as good.
 */
function cpuPart(text: string, before: HostConfig, processors: number): Part {
  const cpus = text === '' ? processors : Number(text)
  if (!(cpus >= 0.01 && cpus <= processors))
    return `Write a number of processors from 0.01 to ${processors}, for example 0.5.`
  if (!before.CpuQuota && !before.CpuPeriod) return { NanoCpus: Math.round(cpus * 1e9) }
  return { CpuQuota: text === '' ? -1 : Math.round(cpus * (before.CpuPeriod || quotaPeriod)) }
}

function pidsPart(text: string): Part {
  if (!/^([1-9]\d{0,8})?$/.test(text)) return 'Write how many processes may run, for example 200.'
  return { PidsLimit: text === '' ? -1 : Number(text) }
}
