/** Docker's limits, checked and turned into OCI resources. */
import { EngineError } from '../base/errors.ts'
import { linuxStep, type SpecStep } from './build.ts'
import type { OciResources, OciThrottle } from './oci.ts'

/** The limits of HostConfig, by Docker's names. Bytes; CPU in 1e-9 processors; 0 or absent is no limit. */
export type Limits = {
  Memory?: number
  MemorySwap?: number
  MemoryReservation?: number
  MemorySwappiness?: number | null
  OomKillDisable?: boolean | null
  NanoCpus?: number
  CpuShares?: number
  CpuPeriod?: number
  CpuQuota?: number
  CpuRealtimePeriod?: number
  CpuRealtimeRuntime?: number
  CpusetCpus?: string
  CpusetMems?: string
  PidsLimit?: number | null
  BlkioWeight?: number
  BlkioWeightDevice?: { Path: string; Weight: number }[]
  BlkioDeviceReadBps?: { Path: string; Rate: number }[]
  BlkioDeviceWriteBps?: { Path: string; Rate: number }[]
  BlkioDeviceReadIOps?: { Path: string; Rate: number }[]
  BlkioDeviceWriteIOps?: { Path: string; Rate: number }[]
}

/** What the limits are checked against. */
export type Machine = {
  /** Processors online. */
  processors: number
  /** As /sys/devices/system/cpu/online: `0-3,8`. */
  cpus: string
  /** As /sys/devices/system/node/online. */
  mems: string
  /** Numbers of a block device by its path; throws where it is none. */
  blockDevice(path: string): { major: number; minor: number }
}

const invalid = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

const minimumMemory = 6 * 1024 * 1024
const maximumListed = 8192

/** `0-2,7` as numbers; cpuset(7) "List format". Undefined where it is not such a list. */
export function parseList(text: string): Set<number> | undefined {
  const numbers = new Set<number>()
  if (text === '') return numbers
  for (const part of text.trim().split(',')) {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? []
    if (first === undefined) return undefined
    const end = Number(last ?? first)
    if (end < Number(first) || end >= maximumListed) return undefined
    for (let number = Number(first); number <= end; number += 1) numbers.add(number)
  }
  return numbers
}

function checkSet(kind: 'cpus' | 'mems', requested: string | undefined, available: string): void {
  if (requested === undefined || requested === '') return
  const wanted = parseList(requested) ?? invalid(`Invalid value ${requested} for cpuset ${kind}`)
  const here = parseList(available) ?? new Set()
  if ([...wanted].every((number) => here.has(number))) return
  const what = kind === 'cpus' ? 'CPUs' : 'memory nodes'
  invalid(`Requested ${what} are not available - requested ${requested}, available: ${available.trim()}`)
}

const integers = [
  'Memory',
  'MemorySwap',
  'MemoryReservation',
  'NanoCpus',
  'CpuShares',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'PidsLimit',
  'BlkioWeight',
] as const

function checkMemory(limits: Limits, update: boolean): void {
  const { Memory = 0, MemorySwap = 0, MemoryReservation = 0, MemorySwappiness: swappiness } = limits
  if (Memory !== 0 && Memory < minimumMemory) invalid('Minimum memory limit allowed is 6MB')
  if (MemorySwap < -1) invalid(`Invalid value: ${MemorySwap}, memory swap is -1 or a number of bytes`)
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory)
    invalid('Minimum memoryswap limit should be larger than memory limit, see usage')
  if (Memory === 0 && MemorySwap > 0 && !update)
    invalid('You should always set the Memory limit when using Memoryswap limit, see usage')
  // -1 is what older clients send for "not set".
  if (typeof swappiness === 'number' && swappiness !== -1 && !(swappiness >= 0 && swappiness <= 100))
    invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`)
  if (MemoryReservation !== 0 && MemoryReservation < minimumMemory) invalid('Minimum memory reservation allowed is 6MB')
  if (Memory > 0 && MemoryReservation > Memory)
    invalid('Minimum memory limit can not be less than memory reservation limit, see usage')
}

function checkCpu(limits: Limits, machine: Machine): void {
  const { NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0, CpuShares = 0 } = limits
  if (NanoCpus > 0 && CpuPeriod > 0) invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (NanoCpus > 0 && CpuQuota > 0) invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set')
  const count = machine.processors
  if (NanoCpus < 0 || NanoCpus > count * 1e9)
    invalid(`Range of CPUs is from 0.01 to ${count}.00, as there are only ${count} CPUs available`)
  if (CpuShares < 0) invalid(`invalid CPU shares (${CpuShares}): value must be a positive integer`)
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000))
    invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)')
  if (CpuQuota > 0 && CpuQuota < 1000) invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)')
  checkSet('cpus', limits.CpusetCpus, machine.cpus)
  checkSet('mems', limits.CpusetMems, machine.mems)
}

function checkBlockIo(limits: Limits): void {
  const { BlkioWeight: weight = 0 } = limits
  if (weight !== 0 && (weight < 10 || weight > 1000)) invalid('Range of blkio weight is from 10 to 1000')
  for (const { Path, Weight } of limits.BlkioWeightDevice ?? [])
    if (!Number.isInteger(Weight) || Weight < 10 || Weight > 1000)
      invalid(`Range of blkio weight is from 10 to 1000, ${Weight} was asked for ${Path}`)
}

/** Throws invalid, in dockerd's words, at the first limit that cannot be. `update` allows swap without memory. */
export function checkLimits(limits: Limits, machine: Machine, options: { update?: boolean } = {}): void {
  for (const name of integers) {
    const value = limits[name]
    if (typeof value === 'number' && !Number.isSafeInteger(value))
      invalid(`Invalid value for ${name}: ${value} is not a whole number`)
  }
  checkMemory(limits, options.update === true)
  checkCpu(limits, machine)
  checkBlockIo(limits)
}

/** Only what is asked for becomes a key: an update leaves the rest as it is. */
const given = <T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T | undefined => {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as T)
}

const positive = (value: number | null | undefined): number | undefined =>
  typeof value === 'number' && value !== 0 ? value : undefined

const named = (value: string | undefined): string | undefined => (value === '' ? undefined : value)

function memoryOf(limits: Limits): OciResources['memory'] {
  const memory = positive(limits.Memory)
  const swappiness = limits.MemorySwappiness
  return given<NonNullable<OciResources['memory']>>({
    limit: memory,
    // As much swap again, unless a number was given: dockerd's default.
    swap: positive(limits.MemorySwap) ?? (memory === undefined ? undefined : memory * 2),
    reservation: positive(limits.MemoryReservation),
    swappiness: typeof swappiness === 'number' && swappiness !== -1 ? swappiness : undefined,
    disableOOMKiller: limits.OomKillDisable === true ? true : undefined,
  })
}

const cpuPeriod = 100_000

function cpuOf(limits: Limits): OciResources['cpu'] {
  const nano = positive(limits.NanoCpus)
  return given<NonNullable<OciResources['cpu']>>({
    shares: positive(limits.CpuShares),
    // The kernel refuses a quota below a millisecond, so 0.005 processors become 0.01.
    quota: nano === undefined ? positive(limits.CpuQuota) : Math.max(1000, Math.floor((nano * cpuPeriod) / 1e9)),
    period: nano === undefined ? positive(limits.CpuPeriod) : cpuPeriod,
    realtimeRuntime: positive(limits.CpuRealtimeRuntime),
    realtimePeriod: positive(limits.CpuRealtimePeriod),
    cpus: named(limits.CpusetCpus),
    mems: named(limits.CpusetMems),
  })
}

function blockIoOf(limits: Limits, machine: Machine): OciResources['blockIO'] {
  const throttles = (list: { Path: string; Rate: number }[] | undefined): OciThrottle[] | undefined =>
    list === undefined || list.length === 0
      ? undefined
      : list.map(({ Path, Rate }) => {
          if (!Number.isSafeInteger(Rate) || Rate < 0) invalid(`invalid rate ${Rate} for device ${Path}`)
          return { ...machine.blockDevice(Path), rate: Rate }
        })
  const weights = limits.BlkioWeightDevice ?? []
  return given<NonNullable<OciResources['blockIO']>>({
    weight: positive(limits.BlkioWeight),
    weightDevice:
      weights.length === 0
        ? undefined
        : weights.map(({ Path, Weight }) => ({ ...machine.blockDevice(Path), weight: Weight })),
    throttleReadBpsDevice: throttles(limits.BlkioDeviceReadBps),
    throttleWriteBpsDevice: throttles(limits.BlkioDeviceWriteBps),
    throttleReadIOPSDevice: throttles(limits.BlkioDeviceReadIOps),
    throttleWriteIOPSDevice: throttles(limits.BlkioDeviceWriteIOps),
  })
}

/** Null is "not set"; 0 and everything below is "no limit", -1 in OCI. */
function pidsOf(limit: number | null | undefined): OciResources['pids'] {
  if (limit === undefined || limit === null) return undefined
  return { limit: limit <= 0 ? -1 : limit }
}

/** Checks, then converts; the result holds what was asked for and nothing else, so it serves an update as well. */
export function resourcesOf(limits: Limits, machine: Machine, options: { update?: boolean } = {}): OciResources {
  checkLimits(limits, machine, options)
  return (
    given<OciResources>({
      memory: memoryOf(limits),
      cpu: cpuOf(limits),
      pids: pidsOf(limits.PidsLimit),
      blockIO: blockIoOf(limits, machine),
    }) ?? {}
  )
}

/** Leaves the device rules that other steps made. */
export const withLimits = (limits: Limits, machine: Machine): SpecStep => {
  const resources = resourcesOf(limits, machine)
  return linuxStep((linux) => ({ ...linux, resources: { ...linux.resources, ...resources } }))
}
