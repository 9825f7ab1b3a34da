/** Writes OCI resources, which speak of cgroup v1, into the files of v2; cgroup-v2.rst "Controllers". */
import { existsSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import type { OciResources, OciThrottle } from '../spec/oci.ts'
import { blockWeight, orMax, sharesToWeight, swapOnly } from './convert.ts'
import { limit, read, readNumber } from './files.ts'
import { applyDeviceProgram } from './v2-devices.ts'

const refuse = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

function applyMemory(directory: string, memory: NonNullable<OciResources['memory']>): void {
  if (memory.swappiness !== undefined) refuse('memory swappiness per group does not exist on cgroup v2')
  if (memory.disableOOMKiller === true) refuse('the OOM killer cannot be disabled on cgroup v2')
  const total = memory.limit ?? readNumber(`${directory}/memory.max`)
  if (memory.swap !== undefined && memory.swap > 0 && total !== undefined && total > 0 && memory.swap < total)
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage')
  if (memory.limit !== undefined && memory.limit > 0) refuseTooSmall(directory, memory.limit)
  const swap = swapOnly(memory.swap, total)
  // Swap first: a lower memory limit pushes pages out at once, and where to is decided by then.
  if (swap !== undefined) applySwap(directory, swap)
  if (memory.limit !== undefined) limit(`${directory}/memory.max`, orMax(memory.limit))
  if (memory.reservation !== undefined) limit(`${directory}/memory.low`, Math.max(memory.reservation, 0))
}

/** v2 takes any limit and kills whoever is over it; v1 refused. What cannot be kept is an error here as well. */
function refuseTooSmall(directory: string, bytes: number): void {
  const stat = read(`${directory}/memory.stat`)
  const anonymous = Number(/^anon (\d+)$/m.exec(stat ?? '')?.[1] ?? 0)
  const swappable = readNumber(`${directory}/memory.swap.max`) !== 0
  if (!swappable && anonymous > bytes)
    refuse(`unable to set memory limit to ${bytes} (current usage: ${anonymous}, which cannot be swapped out)`)
}

function applySwap(directory: string, swap: number | 'max'): void {
  const file = `${directory}/memory.swap.max`
  // Absent without swap in the kernel: then none is used, whatever the limit.
  if (existsSync(file)) limit(file, swap)
}

function applyCpu(directory: string, cpu: NonNullable<OciResources['cpu']>): void {
  if (cpu.realtimeRuntime !== undefined || cpu.realtimePeriod !== undefined)
    refuse('CPU real-time limits do not exist on cgroup v2')
  if (cpu.shares !== undefined) limit(`${directory}/cpu.weight`, sharesToWeight(cpu.shares))
  if (cpu.quota !== undefined || cpu.period !== undefined) {
    const [quota = 'max', period = '100000'] = (read(`${directory}/cpu.max`) ?? 'max 100000').trim().split(' ')
    limit(`${directory}/cpu.max`, `${cpu.quota === undefined ? quota : orMax(cpu.quota)} ${cpu.period ?? period}`)
  }
  if (cpu.cpus !== undefined) limit(`${directory}/cpuset.cpus`, cpu.cpus)
  if (cpu.mems !== undefined) limit(`${directory}/cpuset.mems`, cpu.mems)
}

function applyBlockIo(directory: string, io: NonNullable<OciResources['blockIO']>): void {
  // Two schedulers, two scales: BFQ keeps v1's 1–1000, io.cost has 1–10000.
  const bfq = existsSync(`${directory}/io.bfq.weight`)
  const file = `${directory}/${bfq ? 'io.bfq.weight' : 'io.weight'}`
  const scaled = (weight: number): number => (bfq ? weight : blockWeight(weight))
  if (io.weight !== undefined) limit(file, `default ${scaled(io.weight)}`)
  for (const { major, minor, weight } of io.weightDevice ?? [])
    if (weight !== undefined) limit(file, `${major}:${minor} ${scaled(weight)}`)
  const throttles: [string, OciThrottle[] | undefined][] = [
    ['rbps', io.throttleReadBpsDevice],
    ['wbps', io.throttleWriteBpsDevice],
    ['riops', io.throttleReadIOPSDevice],
    ['wiops', io.throttleWriteIOPSDevice],
  ]
  for (const [key, rates] of throttles)
    for (const { major, minor, rate } of rates ?? [])
      limit(`${directory}/io.max`, `${major}:${minor} ${key}=${rate === 0 ? 'max' : rate}`)
}

const unifiedName = /^[a-z]+\.[a-z0-9_.]+$/i

/** Files by their own names, as the caller wants them; not the group's own switches. */
function applyUnified(directory: string, values: Readonly<Record<string, string>>): void {
  for (const [file, value] of Object.entries(values)) {
    if (!unifiedName.test(file) || file.includes('..') || file.startsWith('cgroup.'))
      refuse(`unified resource ${JSON.stringify(file)} is not a limit`)
    for (const line of value.split('\n')) limit(`${directory}/${file}`, line)
  }
}

export function applyV2(directory: string, resources: OciResources): void {
  const { memory, cpu, pids, blockIO, hugepageLimits, devices, unified } = resources
  if (memory !== undefined) applyMemory(directory, memory)
  if (cpu !== undefined) applyCpu(directory, cpu)
  if (pids !== undefined) limit(`${directory}/pids.max`, pids.limit <= 0 ? 'max' : String(pids.limit))
  if (blockIO !== undefined) applyBlockIo(directory, blockIO)
  for (const { pageSize, limit: bytes } of hugepageLimits ?? []) limit(`${directory}/hugetlb.${pageSize}.max`, bytes)
  if (unified !== undefined) applyUnified(directory, unified)
  if (devices !== undefined) applyDeviceProgram(directory, devices)
}
