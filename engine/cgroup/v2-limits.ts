/** Writes OCI resources, which speak of cgroup v1, into the files of v2; cgroup-v2.rst "Controllers". */
import { existsSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import type { OciResources, OciThrottle } from '../spec/oci.ts'
import { applyBurst } from './burst.ts'
import { askedFor, blockWeight, orMax, rdmaLine, sharesToWeight, swapOnly } from './convert.ts'
import { plainRule } from './device-rules.ts'
import { limit, read, readNumber } from './files.ts'
import { applyDeviceProgram } from './v2-devices.ts'

const refuse = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

function applyMemory(directory: string, memory: NonNullable<OciResources['memory']>): void {
  if (memory.swappiness !== undefined) refuse('memory swappiness per group does not exist on cgroup v2')
  if (memory.disableOOMKiller === true) refuse('the OOM killer cannot be disabled on cgroup v2')
  if (memory.kernelTCP !== undefined) refuse('memory of TCP buffers has no limit of its own on cgroup v2')
  if (memory.useHierarchy === false) refuse('memory is always counted hierarchically on cgroup v2')
  if (memory.checkBeforeUpdate === true) refuseBelowUse(directory, memory)
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

/** checkBeforeUpdate, in runc's words. */
function refuseBelowUse(directory: string, { limit: memory = 0, swap = 0 }: NonNullable<OciResources['memory']>): void {
  const use = readNumber(`${directory}/memory.current`) ?? 0
  if (swap > 0 && swap <= use) refuse(`rejecting memory+swap limit ${swap} <= usage ${use}`)
  if (memory > 0 && memory <= use) refuse(`rejecting memory limit ${memory} <= usage ${use}`)
}

function applySwap(directory: string, swap: number | 'max'): void {
  const file = `${directory}/memory.swap.max`
  // Absent without swap in the kernel: then none is used, whatever the limit.
  if (existsSync(file)) limit(file, swap)
}

function applyCpu(directory: string, cpu: NonNullable<OciResources['cpu']>): void {
  if (cpu.realtimeRuntime !== undefined || cpu.realtimePeriod !== undefined)
    refuse('CPU real-time limits do not exist on cgroup v2')
  // An idle group takes no weight.
  if (cpu.idle === 0) limit(`${directory}/cpu.idle`, 0)
  if (cpu.shares !== undefined) limit(`${directory}/cpu.weight`, sharesToWeight(cpu.shares))
  if (cpu.idle === 1) limit(`${directory}/cpu.idle`, 1)
  applyBurst(`${directory}/cpu.max.burst`, cpu.burst, () => {
    if (cpu.quota === undefined && cpu.period === undefined) return
    const [quota = 'max', period = '100000'] = (read(`${directory}/cpu.max`) ?? 'max 100000').trim().split(' ')
    limit(`${directory}/cpu.max`, `${cpu.quota === undefined ? quota : orMax(cpu.quota)} ${cpu.period ?? period}`)
  })
  if (cpu.cpus !== undefined) limit(`${directory}/cpuset.cpus`, cpu.cpus)
  if (cpu.mems !== undefined) limit(`${directory}/cpuset.mems`, cpu.mems)
}

function applyBlockIo(directory: string, io: NonNullable<OciResources['blockIO']>): void {
  if (io.leafWeight !== undefined || io.weightDevice?.some(({ leafWeight }) => leafWeight !== undefined) === true)
    refuse('leaf weights of block I/O do not exist on cgroup v2')
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

const fileName = /^[a-z]+\.[a-z0-9_.]+$/i

/** The group's own switches, which are ours: who is in, who is below, what is stopped. */
const switches: ReadonlySet<string> = new Set(
  ['procs', 'threads', 'type', 'subtree_control', 'controllers', 'freeze', 'kill'].map((name) => `cgroup.${name}`),
)

/** Files by their own names, as the caller wants them; after all else, so that they win. */
function applyUnified(directory: string, values: Readonly<Record<string, string>>): void {
  for (const [file, value] of Object.entries(values)) {
    if (!fileName.test(file) || file.includes('..') || switches.has(file))
      refuse(`unified resource ${JSON.stringify(file)} is not a limit`)
    for (const line of value.split('\n').filter((one) => one !== '')) limit(`${directory}/${file}`, line)
  }
}

function applyHugePages(directory: string, limits: NonNullable<OciResources['hugepageLimits']>): void {
  for (const { pageSize, limit: bytes } of limits) {
    const file = `${directory}/hugetlb.${pageSize}`
    limit(`${file}.max`, orMax(bytes))
    // What is reserved counts before it is touched; Linux 5.7.
    if (existsSync(`${file}.rsvd.max`)) limit(`${file}.rsvd.max`, orMax(bytes))
  }
}

function refuseNetwork({ classID, priorities }: NonNullable<OciResources['network']>): void {
  if (classID !== undefined && classID !== 0) refuse('network.classID does not exist on cgroup v2')
  if ((priorities ?? []).length > 0) refuse('network.priorities do not exist on cgroup v2')
}

export function applyV2(directory: string, asked: OciResources): void {
  const resources = askedFor(asked)
  const { memory, cpu, pids, blockIO, hugepageLimits, devices, unified } = resources
  if (memory !== undefined) applyMemory(directory, memory)
  if (cpu !== undefined) applyCpu(directory, cpu)
  if (pids !== undefined) limit(`${directory}/pids.max`, pids.limit <= 0 ? 'max' : String(pids.limit))
  if (blockIO !== undefined) applyBlockIo(directory, blockIO)
  applyHugePages(directory, hugepageLimits ?? [])
  refuseNetwork(resources.network ?? {})
  for (const [device, most] of Object.entries(resources.rdma ?? {}))
    limit(`${directory}/rdma.max`, rdmaLine(device, most))
  if (unified !== undefined) applyUnified(directory, unified)
  if (devices !== undefined) applyDeviceProgram(directory, devices.map(plainRule))
}
