/**
 * config.json and seccomp profiles as text. What seccomp compares is 64 bits wide, and a number of JavaScript has 53: such
 * values are bigints here, and the same digits on paper.
 */
import type { OciSpec } from './oci.ts'

const wide: ReadonlySet<string> = new Set(['value', 'valueTwo'])
/** Only texts with a number of so many digits are looked through again: it takes time, and hardly any has one. */
const manyDigits = /\d{16}/

type Context = { source?: string }

const exactly = (key: string, value: unknown, context?: Context): unknown =>
  wide.has(key) && typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
    ? BigInt(context?.source as string)
    : value

/** As JSON.parse, with exact seccomp values. */
export const parseExactly = (text: string): unknown =>
  // The library's types do not know the reviver's third argument yet: the text that the value was read from.
  manyDigits.test(text) ? JSON.parse(text, exactly as (key: string, value: unknown) => unknown) : JSON.parse(text)

export const parseConfig = (text: string): OciSpec => parseExactly(text) as OciSpec

const hasWide = (spec: Pick<OciSpec, 'linux'>): boolean =>
  spec.linux?.seccomp?.syscalls?.some(({ args }) =>
    args?.some(({ value, valueTwo }) => typeof value === 'bigint' || typeof valueTwo === 'bigint'),
  ) === true

const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
const digits = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? raw(`${value}`) : value)

/** The text of (a part of) a config. */
export const formatConfig = (spec: Pick<OciSpec, 'linux'>): string =>
  hasWide(spec) ? JSON.stringify(spec, digits) : JSON.stringify(spec)

/** The text of anything that has a config in it. */
export const formatRecord = (record: { spec: Pick<OciSpec, 'linux'> }): string =>
  hasWide(record.spec) ? JSON.stringify(record, digits) : JSON.stringify(record)
