/** Values of cgroup v1, in which OCI and Docker speak, as v2 has them. Pure. */
import type { OciResources } from '../spec/oci.ts'

/**
 * cpu.shares (2–262144, 1024 is usual) as cpu.weight (1–10000, 100 is usual): through (2, 1), (1024, 100) and
 * (262144, 10000), quadratic between the logarithms. The straight line that was used before made 1024 a weight of 39,
 * so that a container had a third of what a group without a setting has.
 */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1
  if (shares >= 262144) return 10000
  const log = Math.log2(shares)
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34) - 1e-9)
}

/** The reverse, to show a weight as shares: a power of two if one gives the weight, else the fewest that do. */
export function weightToShares(weight: number): number {
  let [low, high] = [2, 262144]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sharesToWeight(middle) < weight) low = middle + 1
    else high = middle
  }
  const power = 2 ** Math.ceil(Math.log2(low))
  return sharesToWeight(power) === weight ? power : low
}

/** blkio.weight (10–1000) as io.weight (1–10000), linear. */
export const blockWeight = (weight: number): number => Math.floor(1 + ((weight - 10) * 9999) / 990)

/** memory.swap.max from memory plus swap (v1) and memory; `max` is no limit. Undefined: nothing to write. */
export function swapOnly(memoryAndSwap: number | undefined, memory: number | undefined): number | 'max' | undefined {
  if (memoryAndSwap === undefined) return undefined
  if (memoryAndSwap < 0) return 'max'
  if (memory === undefined || memory < 0) return undefined
  return Math.max(0, memoryAndSwap - memory)
}

/** Signals no limit as the file wants it; JSON's largest numbers are rounded up, beyond what the kernel counts to. */
export const orMax = (value: number): string => (value < 0 || value >= 2 ** 63 ? 'max' : String(value))

/** As `orMax`, for the files of v1. */
export const orMinusOne = (value: number): string => (value < 0 || value >= 2 ** 63 ? '-1' : String(value))

type Part = Record<string, unknown>

const withoutUnset = <Value extends object>(part: Value, unset: (name: string, value: unknown) => boolean): Value =>
  Object.fromEntries(Object.entries(part as Part).filter(([name, value]) => !unset(name, value))) as Value

/** Those for which 0 is a value, and not the absence of one. */
const zeroCounts: ReadonlySet<string> = new Set(['swappiness', 'idle', 'burst'])

/** What callers that cannot leave a number or text out write in its place means no limit is asked for, as with runc. */
export function askedFor(resources: OciResources): OciResources {
  const unset = (name: string, value: unknown): boolean => (value === 0 && !zeroCounts.has(name)) || value === ''
  const { memory, cpu, blockIO, ...rest } = resources
  return {
    ...rest,
    ...(memory === undefined ? {} : { memory: withoutUnset(memory, unset) }),
    ...(cpu === undefined ? {} : { cpu: withoutUnset(cpu, unset) }),
    ...(blockIO === undefined ? {} : { blockIO: withoutUnset(blockIO, unset) }),
  }
}

/** A line of rdma.max: `mlx4_0 hca_handle=3 hca_object=10000`. */
export const rdmaLine = (
  device: string,
  { hcaHandles, hcaObjects }: { hcaHandles?: number; hcaObjects?: number },
): string =>
  [
    device,
    ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
    ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
  ].join(' ')
