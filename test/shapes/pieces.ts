/** What answers are made of, as the Docker Engine API 1.51 describes it. An object has these fields and no others. */
import * as z from 'zod'

export const text = z.string()
export const yes = z.boolean()
export const whole = z.number().int()
export const count = whole.min(0)
export const texts = z.array(text)
export const map = z.record(text, text)
export const id = z.string().regex(/^[0-9a-f]{64}$/)
export const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
export const idOrNone = z.union([id, z.literal('')])
/** RFC 3339 in UTC with up to nine digits of a second. */
export const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/)
export const address4 = z.union([z.ipv4(), z.literal('')])
export const address6 = z.union([z.ipv6(), z.literal('')])
export const mac = z.string().regex(/^(([0-9a-f]{2}:){5}[0-9a-f]{2})?$/)
export const portKey = z.string().regex(/^\d{1,5}\/(tcp|udp|sctp)$/)
/** `map[string]struct{}` of Go. */
export const set = z.record(text, z.strictObject({}))
export const orNull = <T extends z.ZodType>(shape: T) => shape.nullable()

export const descriptor = z.strictObject({ mediaType: text, digest, size: count })
export const platform = z.strictObject({ architecture: text, os: text, variant: text.optional() })
