import type { HostConfig, UpdateRequest } from '../../engine/api/contract/docker.ts'
import type { LimitField, LimitTexts } from '../../webview/messages.ts'
import { parseBytes } from '../engine-client/format.ts'

/** Docker refuses less. */
const leastMemory = 6 * 1024 ** 2

/** The limits of a container as a person would write them. */
export function limitTexts(config: HostConfig): LimitTexts {
  const quota = config.CpuQuota && config.CpuPeriod ? config.CpuQuota / config.CpuPeriod : 0
  const cpus = config.NanoCpus ? config.NanoCpus / 1e9 : quota
  return {
    memory: config.Memory ? bytesText(config.Memory) : '',
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

/**
 * The update that brings the limits from `before` to `after`; only what differs is in it. Docker's update reads 0 as
 * "leave it": a limit is taken away with -1. Swap follows memory at twice its size, as `docker run` sets it.
 */
export function limitsRequest(before: LimitTexts, after: LimitTexts): LimitsRequest {
  const body: UpdateRequest = {}
  const changed = (field: LimitField): boolean => before[field].trim() !== after[field].trim()
  if (changed('memory')) {
    const bytes = memoryOf(after.memory)
    if (bytes === null) return { field: 'memory', sentence: 'Write a size of at least 6m, for example 512m or 2g.' }
    Object.assign(body, { Memory: bytes, MemorySwap: bytes < 0 ? -1 : bytes * 2 })
  }
  if (changed('cpus')) {
    const cpus = after.cpus.trim() === '' ? -1 : Number(after.cpus)
    if (after.cpus.trim() !== '' && !(cpus >= 0.01))
      return { field: 'cpus', sentence: 'Write a number of processors of at least 0.01, for example 1.5.' }
    if (cpus < 0) body.CpuQuota = -1
    else body.NanoCpus = Math.round(cpus * 1e9)
  }
  if (changed('pids')) {
    if (!/^([1-9]\d{0,8})?$/.test(after.pids.trim()))
      return { field: 'pids', sentence: 'Write how many processes may run, for example 200.' }
    body.PidsLimit = after.pids.trim() === '' ? -1 : Number(after.pids)
  }
  return { body }
}

function memoryOf(text: string): number | null {
  if (text.trim() === '') return -1
  const bytes = parseBytes(text)
  return bytes !== null && bytes >= leastMemory ? bytes : null
}
