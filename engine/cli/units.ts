/** Quantities as Docker's command line reads and writes them. Pure. */

const binary: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
}

/** `512m`, `1.5GiB`, `64kb`: bytes. Throws for anything else. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([bkmgtp]?)(?:i?b)?$/i.exec(text.trim())
  if (match === null) throw new Error(`invalid size: '${text}'`)
  return Math.trunc(Number(match[1]) * binary[match[2]!.toLowerCase()]!)
}

/** As `parseBytes`, and -1 for no limit. */
export const parseSwap = (text: string): number => (text === '-1' ? -1 : parseBytes(text))

const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Up to `digits` significant digits, without trailing zeros: `%.4g` of C. */
const significant = (value: number, digits: number): string => String(Number(value.toPrecision(digits)))

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes
  let unit = 0
  while (value >= base && unit < units.length - 1) {
    value /= base
    unit += 1
  }
  return `${significant(value, digits)}${units[unit]}`
}

/** `7.83MB`: decimal, three digits, as `images` shows sizes. */
export const humanSize = (bytes: number, digits = 3): string => scaled(bytes, 1000, decimalUnits, digits)

/** `23.54GiB`: powers of 1024, four digits, as `info` shows memory. */
export const binarySize = (bytes: number): string => scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 4)

const timeUnits: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 }

/** `1m30s`: seconds. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|\u00b5s|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) return undefined
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * timeUnits[unit!]!, 0)
}

/** A point in time for `--since` and `--until`: seconds since the epoch, from a date, a duration back from now, or itself. */
export function parseMoment(text: string, now: number = Date.now()): string {
  if (/^-?\d+(\.\d+)?$/.test(text)) return text
  const duration = parseDuration(text)
  if (duration !== undefined) return (now / 1000 - duration).toFixed(9)
  const date = Date.parse(text)
  if (Number.isNaN(date)) throw new Error(`failed to parse value as time or duration: ${JSON.stringify(text)}`)
  return (date / 1000).toFixed(9)
}
