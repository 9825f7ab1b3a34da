/** Pressure stall information of a v2 directory; Linux Documentation/accounting/psi.rst. */
import type { CgroupUse, Pressure } from './cgroup.ts'
import { read } from './files.ts'

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` lines. */
export function parsePressure(text: string): Partial<Record<'some' | 'full', Pressure>> {
  const lines: Partial<Record<'some' | 'full', Pressure>> = {}
  for (const line of text.split('\n')) {
    const [kind, ...fields] = line.split(' ')
    if (kind !== 'some' && kind !== 'full') continue
    const values = Object.fromEntries(fields.map((field) => field.split('=') as [string, string]))
    lines[kind] = {
      avg10: Number(values.avg10 ?? 0),
      avg60: Number(values.avg60 ?? 0),
      avg300: Number(values.avg300 ?? 0),
      total: Number(values.total ?? 0),
    }
  }
  return lines
}

/** Undefined where the kernel has none. */
export function readPressure(directory: string): CgroupUse['pressure'] {
  const found: NonNullable<CgroupUse['pressure']> = {}
  for (const resource of ['cpu', 'memory', 'io'] as const) {
    const text = read(`${directory}/${resource}.pressure`)
    if (text !== undefined) found[resource] = parsePressure(text)
  }
  return Object.keys(found).length === 0 ? undefined : found
}
