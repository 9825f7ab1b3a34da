const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Decimal units, three digits, as Docker's tools print sizes: `1.5 kB`, `412 MB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${Number(value.toFixed(digits))} ${units[unit]}`
}

const memoryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Binary units, as memory is counted and limits are written: `512m` is `512 MiB`. */
export function formatMemory(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 1023.5 && unit < memoryUnits.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${Number(value.toFixed(digits))} ${memoryUnits[unit]}`
}

const factors: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** `512m`, `1.5g`, `1073741824`: binary units as in `docker run --memory`. Null where it is none. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim())
  const factor = factors[match?.[2]?.toLowerCase() ?? '?']
  return match && factor ? Math.round(Number(match[1]) * factor) : null
}

/** `3 seconds`, `2 hours`: the largest unit only. */
export function formatAge(seconds: number): string {
  const steps: [number, string][] = [
    [86_400 * 365, 'year'],
    [86_400 * 30, 'month'],
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ]
  const [size, name] = steps.find(([size]) => seconds >= size) ?? [1, 'second']
  const count = Math.max(0, Math.floor(seconds / size))
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

/** As everyone writes image and container ids: 12 hexadecimal digits. */
export const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12)

/** `1 image`, `2 images`, `2 processes`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`
