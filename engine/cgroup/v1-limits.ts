/** Writes OCI resources into the files of cgroup v1; Linux Documentation/admin-guide/cgroup-v1. */
import { existsSync } from 'node:fs'
import { EngineError, messageOf } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { OciResources, OciThrottle } from '../spec/oci.ts'
import { applyBurst } from './burst.ts'
import { askedFor, orMinusOne, rdmaLine } from './convert.ts'
import { plainRule } from './device-rules.ts'
import { limit, read, readNumber, write } from './files.ts'
import { deviceWritesV1 } from './v1-devices.ts'

type Directories = Readonly<Record<string, string>>

function directoryOf(directories: Directories, controller: string): string {
  const directory = directories[controller]
  if (directory === undefined)
    throw new EngineError('unavailable', `a ${controller} limit was asked for, but no such controller is mounted`)
  return directory
}

/** Infinity is no limit. */
const size = (value: number): number => (value < 0 ? Number.POSITIVE_INFINITY : value)

/** The kernel first tries to free what is over a new limit, and refuses it when it cannot. */
function limitMemory(directory: string, value: number): void {
  try {
    write(`${directory}/memory.limit_in_bytes`, orMinusOne(value))
  } catch (error) {
    if (!isErrno(error, 'EBUSY')) throw refusedMemory(value, error)
    const use = readNumber(`${directory}/memory.usage_in_bytes`)
    throw new EngineError('invalid', `unable to set memory limit to ${value} (current usage: ${use})`, { cause: error })
  }
}

const refusedMemory = (value: number, cause: unknown): EngineError =>
  new EngineError('invalid', `unable to set memory limit to ${value}: ${messageOf(cause)}`, { cause })

/** memory.memsw is never below memory: the one that grows goes first. */
function applyMemorySize(directory: string, memory: number | undefined, swap: number | undefined): void {
  const swapFile = `${directory}/memory.memsw.limit_in_bytes`
  // Absent without swap accounting (swapaccount=0): then there is no swap limit to keep in order.
  const current = existsSync(swapFile) ? (readNumber(swapFile) ?? Number.POSITIVE_INFINITY) : undefined
  if (current === undefined) {
    if (memory !== undefined) limitMemory(directory, memory)
    return
  }
  if (memory !== undefined && swap === undefined && size(memory) > current)
    throw new EngineError(
      'invalid',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    )
  const grows = swap !== undefined && size(swap) >= current
  if (grows) limit(swapFile, orMinusOne(swap))
  if (memory !== undefined) limitMemory(directory, memory)
  if (swap !== undefined && !grows) limit(swapFile, orMinusOne(swap))
}

function applyMemory(directories: Directories, memory: NonNullable<OciResources['memory']>): void {
  const directory = directoryOf(directories, 'memory')
  if (memory.limit !== undefined || memory.swap !== undefined) applyMemorySize(directory, memory.limit, memory.swap)
  if (memory.reservation !== undefined) limit(`${directory}/memory.soft_limit_in_bytes`, orMinusOne(memory.reservation))
  // `kernel` has had no effect since Linux 5.11, and runc passes it over as well.
  if (memory.kernelTCP !== undefined) limit(`${directory}/memory.kmem.tcp.limit_in_bytes`, orMinusOne(memory.kernelTCP))
  if (memory.useHierarchy !== undefined) limit(`${directory}/memory.use_hierarchy`, memory.useHierarchy ? 1 : 0)
  if (memory.swappiness !== undefined) limit(`${directory}/memory.swappiness`, memory.swappiness)
  if (memory.disableOOMKiller !== undefined) limit(`${directory}/memory.oom_control`, memory.disableOOMKiller ? 1 : 0)
}

/**
 * Quota and period are judged together against the group above, after each write: what fails in one order may do in
 * the other.
 */
function applyQuota(directory: string, prefix: 'cpu.cfs' | 'cpu.rt', quota?: number, period?: number): void {
  const quotaFile = `${directory}/${prefix === 'cpu.cfs' ? 'cpu.cfs_quota_us' : 'cpu.rt_runtime_us'}`
  const periodFile = `${directory}/${prefix}_period_us`
  let later = false
  if (period !== undefined) {
    try {
      write(periodFile, period)
    } catch (error) {
      if (!isErrno(error, 'EINVAL') || quota === undefined) limit(periodFile, period)
      later = true
    }
  }
  if (quota !== undefined) limit(quotaFile, quota)
  if (later && period !== undefined) limit(periodFile, period)
}

function applyCpu(directories: Directories, cpu: NonNullable<OciResources['cpu']>): void {
  const { shares, quota, period, burst, idle, realtimeRuntime, realtimePeriod, cpus, mems } = cpu
  if ([shares, quota, period, burst, idle, realtimeRuntime, realtimePeriod].some((value) => value !== undefined)) {
    const directory = directoryOf(directories, 'cpu')
    // An idle group takes no shares.
    if (idle === 0) limit(`${directory}/cpu.idle`, 0)
    if (shares !== undefined) limit(`${directory}/cpu.shares`, Math.min(Math.max(shares, 2), 262144))
    if (idle === 1) limit(`${directory}/cpu.idle`, 1)
    applyBurst(`${directory}/cpu.cfs_burst_us`, burst, () => applyQuota(directory, 'cpu.cfs', quota, period))
    applyQuota(directory, 'cpu.rt', realtimeRuntime, realtimePeriod)
  }
  if (cpus !== undefined) limit(`${directoryOf(directories, 'cpuset')}/cpuset.cpus`, cpus)
  if (mems !== undefined) limit(`${directoryOf(directories, 'cpuset')}/cpuset.mems`, mems)
}

function applyBlockIo(directories: Directories, io: NonNullable<OciResources['blockIO']>): void {
  const directory = directoryOf(directories, 'blkio')
  // The weight belongs to the BFQ scheduler; CFQ's names are those of kernels before 5.0.
  const prefix = existsSync(`${directory}/blkio.bfq.weight`) ? 'blkio.bfq.weight' : 'blkio.weight'
  if (io.weight !== undefined) limit(`${directory}/${prefix}`, io.weight)
  if (io.leafWeight !== undefined) limit(`${directory}/blkio.leaf_weight`, io.leafWeight)
  for (const { major, minor, weight, leafWeight } of io.weightDevice ?? []) {
    if (weight !== undefined) limit(`${directory}/${prefix}_device`, `${major}:${minor} ${weight}`)
    if (leafWeight !== undefined) limit(`${directory}/blkio.leaf_weight_device`, `${major}:${minor} ${leafWeight}`)
  }
  const throttles: [string, OciThrottle[] | undefined][] = [
    ['read_bps_device', io.throttleReadBpsDevice],
    ['write_bps_device', io.throttleWriteBpsDevice],
    ['read_iops_device', io.throttleReadIOPSDevice],
    ['write_iops_device', io.throttleWriteIOPSDevice],
  ]
  for (const [file, rates] of throttles)
    for (const { major, minor, rate } of rates ?? [])
      limit(`${directory}/blkio.throttle.${file}`, `${major}:${minor} ${rate}`)
}

function applyHugePages(directories: Directories, limits: NonNullable<OciResources['hugepageLimits']>): void {
  for (const { pageSize, limit: bytes } of limits) {
    const file = `${directoryOf(directories, 'hugetlb')}/hugetlb.${pageSize}`
    limit(`${file}.limit_in_bytes`, orMinusOne(bytes))
    // What is reserved counts before it is touched; Linux 5.7.
    if (existsSync(`${file}.rsvd.limit_in_bytes`)) limit(`${file}.rsvd.limit_in_bytes`, orMinusOne(bytes))
  }
}

function applyNetwork(directories: Directories, { classID, priorities }: NonNullable<OciResources['network']>): void {
  if (classID !== undefined && classID !== 0) limit(`${directoryOf(directories, 'net_cls')}/net_cls.classid`, classID)
  for (const { name, priority } of priorities ?? [])
    limit(`${directoryOf(directories, 'net_prio')}/net_prio.ifpriomap`, `${name} ${priority}`)
}

export function applyV1(directories: Directories, asked: OciResources): void {
  const resources = askedFor(asked)
  const { memory, cpu, pids, blockIO, hugepageLimits, devices, unified } = resources
  if (unified !== undefined && Object.keys(unified).length > 0)
    throw new EngineError('invalid', `${Object.keys(unified).join(', ')}: settings by cgroup v2 file need cgroup v2`)
  if (memory !== undefined) applyMemory(directories, memory)
  if (cpu !== undefined) applyCpu(directories, cpu)
  if (pids !== undefined)
    limit(`${directoryOf(directories, 'pids')}/pids.max`, pids.limit <= 0 ? 'max' : String(pids.limit))
  if (blockIO !== undefined) applyBlockIo(directories, blockIO)
  applyHugePages(directories, hugepageLimits ?? [])
  applyNetwork(directories, resources.network ?? {})
  for (const [device, most] of Object.entries(resources.rdma ?? {}))
    limit(`${directoryOf(directories, 'rdma')}/rdma.max`, rdmaLine(device, most))
  if (devices !== undefined) applyDevices(directoryOf(directories, 'devices'), devices)
}

function applyDevices(directory: string, rules: NonNullable<OciResources['devices']>): void {
  const all = read(`${directory}/devices.list`)?.trim() === 'a *:* rwm'
  const [[file, first], ...exceptions] = deviceWritesV1(rules.map(plainRule))
  // Nested, the group above may allow less than all: asking for what is there already must not fail.
  if (file !== 'devices.allow' || !all) limit(`${directory}/${file}`, first)
  const [exception] = exceptions
  if (exception !== undefined) limit(`${directory}/${exception[0]}`, ...exceptions.map(([, text]) => text))
}
