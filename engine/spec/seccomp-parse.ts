/** A profile that a user brings along (`--security-opt seccomp=FILE`), as text. */
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import { parseExactly } from './config-json.ts'
import type { SeccompProfile } from './seccomp-profile.ts'

const number = z.number().int().nonnegative()

const wide = z.union([number, z.bigint().nonnegative()])

const condition = z.object({
  caps: z.array(z.string()).nullish(),
  arches: z.array(z.string()).nullish(),
  minKernel: z.string().optional(),
})

const schema = z.object({
  defaultAction: z.string(),
  defaultErrnoRet: number.optional(),
  defaultErrno: z.string().optional(),
  architectures: z.array(z.string()).nullish(),
  archMap: z.array(z.object({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() })).nullish(),
  flags: z.array(z.string()).nullish(),
  listenerPath: z.string().optional(),
  listenerMetadata: z.string().optional(),
  syscalls: z
    .array(
      z.object({
        names: z.array(z.string()).nullish(),
        name: z.string().optional(),
        action: z.string(),
        args: z
          .array(z.object({ index: number.max(5), value: wide, valueTwo: wide.optional(), op: z.string() }))
          .nullish(),
        errnoRet: number.optional(),
        errno: z.string().optional(),
        comment: z.string().optional(),
        includes: condition.optional(),
        excludes: condition.optional(),
      }),
    )
    .nullish(),
})

/** Throws invalid at the first thing that is not of the format. */
export function parseSeccompProfile(text: string): SeccompProfile {
  let value: unknown
  try {
    value = parseExactly(text)
  } catch (cause) {
    throw new EngineError('invalid', `Decoding seccomp profile failed: ${String((cause as Error).message)}`, { cause })
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data as SeccompProfile
  const issue = result.error.issues[0]
  throw new EngineError('invalid', `Decoding seccomp profile failed: ${issue?.path.join('.')}: ${issue?.message}`)
}
