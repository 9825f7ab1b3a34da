/** Values of cgroup v1, in which OCI and Docker speak, as v2 has them. Pure. */

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

/** Signals no limit as the file wants it. */
export const orMax = (value: number): string => (value < 0 ? 'max' : String(value))
