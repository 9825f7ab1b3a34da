/** Query parameters and the pieces that request bodies are made of. */
import * as z from 'zod'
import { Filters } from './filters.ts'

/** A parameter may repeat: an array in the raw query. The first one counts where one is asked for. */
const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)

export const word = z.preprocess(first, z.string().default(''))

export const words = z.preprocess(
  (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]),
  z.array(z.string()),
)

const isFalse = /^\s*(|0|no|false|none)\s*$/i

/** Docker's booleans: absent, empty, `0`, `no`, `false` and `none` are false, everything else is true. */
export const flag = z.preprocess(first, z.string().default('')).transform((value) => !isFalse.test(value))

/** As `flag`, true when it is absent. */
export const flagOn = z.preprocess(first, z.string().default('1')).transform((value) => !isFalse.test(value))

/** A whole number, or absent. */
export const integer = z
  .preprocess(first, z.string().default(''))
  .refine((value) => value === '' || (/^[+-]?\d+$/.test(value) && Number.isSafeInteger(Number(value))), {
    error: (issue) => `invalid number: "${issue.input}"`,
  })
  .transform((value) => (value === '' ? undefined : Number(value)))

/** A number of character cells. */
export const cells = z
  .preprocess(first, z.string().default(''))
  .refine((value) => /^\d+$/.test(value) && Number(value) <= 65535, {
    error: (issue) => `invalid size: strconv.ParseUint: parsing "${issue.input}": invalid syntax`,
  })
  .transform(Number)

/** Unix seconds: the year 5138. What is later is no time that anybody means. */
const latest = 1e11

/** Unix seconds with an optional fraction; empty and `0` are absent. */
export const instant = z
  .preprocess(first, z.string().default(''))
  .refine((value) => /^(-?\d+(\.\d*)?)?$/.test(value) && Math.abs(Number(value)) < latest, {
    error: (issue) => `invalid timestamp: "${issue.input}"`,
  })
  .transform((value) => (value === '' || Number(value) === 0 ? undefined : Number(value)))

export const filters = z.preprocess(first, z.string().default('')).transform((value) => Filters.parse(value))

export const byId = z.object({ id: z.string().min(1) })
export const byName = z.object({ name: z.string().min(1) })

/**
 * An object as Go reads one: unknown fields are passed over, and null is the same as absent. Maps (`z.record`) keep
 * keys whose value is null, as Go's maps do.
 */
export const goObject = <S extends z.ZodRawShape>(shape: S) =>
  z.preprocess(
    (value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null))
        : value,
    z.object(shape),
  )

export const optionalText = z.string().exactOptional()
export const optionalFlag = z.boolean().exactOptional()
export const optionalInteger = z.number().int().exactOptional()
export const optionalTexts = z.array(z.string()).exactOptional()
export const optionalMap = z.record(z.string(), z.string()).exactOptional()
