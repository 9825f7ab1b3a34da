/**
 * A container's group as a unit of systemd: its name from `slice:prefix:name`, its place, and its limits as properties;
 * org.freedesktop.systemd1(5), systemd.resource-control(5). Pure.
 */
import { EngineError } from '../base/errors.ts'
import { parseNumberList } from '../spec/number-list.ts'
import type { OciResources } from '../spec/oci.ts'
import { askedFor, sharesToWeight, swapOnly } from './convert.ts'
import { type DBusValue, type Variant, variant } from './dbus-message.ts'

export type UnitName = { slice: string; unit: string }

export type UnitProperty = readonly [name: string, value: Variant]

const unitName = /^[A-Za-z0-9:_.\\@-]+$/

/** Throws invalid, naming cgroupsPath. `defaultSlice` is where an empty one means. */
export function parseUnitPath(cgroupsPath: string, defaultSlice: string): UnitName {
  const refuse = (why: string): never => {
    throw new EngineError('invalid', `linux.cgroupsPath: ${JSON.stringify(cgroupsPath)} ${why}`)
  }
  const parts = cgroupsPath.split(':')
  if (parts.length !== 3) return refuse('is not of the form slice:prefix:name, which groups of systemd have')
  const [slice = '', prefix = '', name = ''] = parts
  if (name === '') return refuse('has no name')
  const chosen = slice === '' ? defaultSlice : slice
  if (!chosen.endsWith('.slice') || chosen.includes('/'))
    return refuse(`names ${JSON.stringify(chosen)}, which is no slice`)
  const unit = name.endsWith('.slice') ? name : `${prefix === '' ? '' : `${prefix}-`}${name}.scope`
  if (!unitName.test(unit) || unit.length > 255)
    return refuse(`makes ${JSON.stringify(unit)}, which is no name of a unit`)
  return { slice: chosen, unit }
}

/** The directory of a slice: `a-b.slice` lies in `a.slice`; `-.slice` is the root. systemd.slice(5). */
export function slicePath(slice: string): string {
  const name = slice.slice(0, -'.slice'.length)
  if (name === '-') return ''
  const parts = name.split('-')
  if (parts.some((part) => part === ''))
    throw new EngineError('invalid', `linux.cgroupsPath: ${JSON.stringify(slice)} is no name of a slice`)
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('-')}.slice`).join('')
}

/** Below the group of the systemd that is asked, which has none of its own on the machine itself. */
export const unitPath = (managerGroup: string, { slice, unit }: UnitName): string =>
  `${managerGroup === '/' ? '' : managerGroup}${slicePath(slice)}/${unit}`

/** The group is ours to divide and to limit (Delegate), and systemd counts in it what we read. */
export const creationProperties = ({ slice, unit }: UnitName, pid: number, description: string): UnitProperty[] => [
  ['Description', variant('s', description)],
  unit.endsWith('.slice') ? ['Wants', variant('as', [slice])] : ['Slice', variant('s', slice)],
  ...(unit.endsWith('.slice')
    ? []
    : ([
        ['Delegate', variant('b', true)],
        ['PIDs', variant('au', [pid])],
      ] as const)),
  ...['MemoryAccounting', 'CPUAccounting', 'IOAccounting', 'TasksAccounting'].map(
    (name): UnitProperty => [name, variant('b', true)],
  ),
  ['DefaultDependencies', variant('b', false)],
]

const infinity = 2n ** 64n - 1n
const bytes = (value: number | 'max'): Variant =>
  variant('t', value === 'max' || value < 0 || value >= 2 ** 63 ? infinity : BigInt(value))

/** A mask of bits, lowest first: AllowedCPUs and AllowedMemoryNodes. */
function bitMask(list: string): DBusValue {
  const members = parseNumberList(list)
  const mask = Buffer.alloc(Math.floor(Math.max(0, ...members) / 8) + 1)
  for (const member of members) mask[member >> 3] = (mask[member >> 3] ?? 0) | (1 << (member & 7))
  return mask
}

/** systemd keeps whole hundredths of a processor: what is asked for must fit into what it sets. */
function quotaPerSecond(quota: number, period: number): Variant {
  if (quota < 0) return variant('t', infinity)
  const microseconds = Math.ceil((quota * 1_000_000) / period / 10_000) * 10_000
  return variant('t', BigInt(microseconds))
}

function memoryProperties(memory: NonNullable<OciResources['memory']>): UnitProperty[] {
  const swap = swapOnly(memory.swap, memory.limit)
  return [
    ...(memory.limit === undefined ? [] : ([['MemoryMax', bytes(memory.limit)]] as const)),
    ...(memory.reservation === undefined ? [] : ([['MemoryLow', bytes(Math.max(memory.reservation, 0))]] as const)),
    ...(swap === undefined ? [] : ([['MemorySwapMax', bytes(swap)]] as const)),
  ]
}

function cpuProperties(cpu: NonNullable<OciResources['cpu']>): UnitProperty[] {
  const { shares, quota, period = 100_000, cpus, mems } = cpu
  return [
    ...(shares === undefined ? [] : ([['CPUWeight', variant('t', BigInt(sharesToWeight(shares)))]] as const)),
    ...(cpu.period === undefined ? [] : ([['CPUQuotaPeriodUSec', variant('t', BigInt(period))]] as const)),
    ...(quota === undefined ? [] : ([['CPUQuotaPerSecUSec', quotaPerSecond(quota, period)]] as const)),
    ...(cpus === undefined ? [] : ([['AllowedCPUs', variant('ay', bitMask(cpus))]] as const)),
    ...(mems === undefined ? [] : ([['AllowedMemoryNodes', variant('ay', bitMask(mems))]] as const)),
  ]
}

/**
 * What systemd must know of the limits, since it writes its own view whenever it reloads. All else only it does not
 * touch: the group is delegated.
 */
export function limitProperties(asked: OciResources): UnitProperty[] {
  const { memory = {}, cpu = {}, pids } = askedFor(asked)
  return [
    ...memoryProperties(memory),
    ...cpuProperties(cpu),
    ...(pids === undefined ? [] : ([['TasksMax', bytes(pids.limit <= 0 ? 'max' : pids.limit)]] as const)),
  ]
}
