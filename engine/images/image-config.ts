/** The image configuration, checked: image-spec config.md. Tools written in Go leave null where they mean nothing. */
import * as z from 'zod'
import { parseJson } from './bounded-json.ts'
import { sha256 } from './digest.ts'
import type { ImageConfig } from './image.ts'
import { checkShape, digestSchema } from './manifest.ts'

const absent = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined)
const text = absent(z.string())
const texts = absent(z.array(z.string()))
/** A Go `map[string]struct{}`. */
const set = absent(z.record(z.string(), z.unknown()).transform((map) => emptied(map)))

function emptied(map: Record<string, unknown>): Record<string, object> {
  return Object.fromEntries(Object.keys(map).map((key) => [key, {}]))
}

const healthcheck = z.object({
  Test: texts,
  Interval: absent(z.number()),
  Timeout: absent(z.number()),
  StartPeriod: absent(z.number()),
  StartInterval: absent(z.number()),
  Retries: absent(z.number().int()),
})

const runConfig = z.object({
  User: text,
  ExposedPorts: set,
  Env: texts,
  Entrypoint: texts,
  Cmd: texts,
  Volumes: set,
  WorkingDir: text,
  Labels: absent(z.record(z.string(), z.string())),
  StopSignal: text,
  StopTimeout: absent(z.number().int()),
  Shell: texts,
  Healthcheck: absent(healthcheck),
  OnBuild: texts,
})

const history = z.object({
  created: text,
  created_by: text,
  author: text,
  comment: text,
  empty_layer: absent(z.boolean()),
})

const configSchema = z.object({
  architecture: z.string().min(1),
  os: z.string().min(1),
  variant: text,
  created: text,
  author: text,
  config: absent(runConfig),
  rootfs: z.object({
    type: z.literal('layers'),
    diff_ids: z
      .array(digestSchema)
      .nullish()
      .transform((ids) => ids ?? []),
  }),
  history: absent(z.array(history)),
})

/** Throws invalid. Unknown fields are left out: the blob keeps them. */
export function parseImageConfig(bytes: Buffer): ImageConfig {
  const what = `image configuration ${sha256(bytes)}`
  const config = checkShape(configSchema as z.ZodType<unknown>, parseJson(bytes, what), what)
  // Through JSON, because that drops what is undefined, at every depth.
  return JSON.parse(JSON.stringify(config)) as ImageConfig
}
