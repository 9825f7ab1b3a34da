/** Manifests and indexes, checked: image-spec manifest.md and image-index.md; distribution's schema 2 has the same shape. */
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import { parseJson } from './bounded-json.ts'
import { type Digest, isDigest } from './digest.ts'
import {
  configTypes,
  indexTypes,
  layerTypes,
  manifestTypes,
  ociIndex,
  ociManifest,
  oldManifestTypes,
} from './media-types.table.ts'

/** Bytes; distribution refuses larger ones, too. */
export const manifestLimit = 4 * 1024 * 1024

/** overlay(5) stacks no more than this many layers: OVL_MAX_STACK of the kernel. */
const layerLimit = 500

export const digestSchema = z
  .string()
  .refine(isDigest, 'is not a sha256 digest')
  .transform((text) => text as Digest)

const descriptorSchema = z.object({
  mediaType: z.string().default(''),
  digest: digestSchema,
  size: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
})

const platformSchema = z.object({
  os: z.string().default(''),
  architecture: z.string().default(''),
  variant: z
    .string()
    .nullish()
    .transform((variant) => variant ?? ''),
})

const manifestSchema = z.object({
  mediaType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(layerLimit),
})

const indexSchema = z.object({
  mediaType: z.string().optional(),
  manifests: z.array(descriptorSchema.extend({ platform: platformSchema.nullish() })).max(10_000),
})

export type Descriptor = { mediaType: string; digest: Digest; size: number }
export type Platform = { os: string; architecture: string; variant: string }
export type IndexEntry = Descriptor & { platform?: Platform | null | undefined }
export type Manifest = { kind: 'manifest'; mediaType: string; config: Descriptor; layers: Descriptor[] }
export type Index = { kind: 'index'; mediaType: string; manifests: IndexEntry[] }

/**
 * Throws invalid. `served` is the Content-Type it came with, if any; the document's own word wins. One that could be
 * read both as manifest and as index is refused: two tools must not see two images behind one digest.
 */
export function parseManifest(bytes: Buffer, what: string, served?: string): Manifest | Index {
  if (bytes.byteLength > manifestLimit)
    throw new EngineError('invalid', `${what} is larger than ${manifestLimit} bytes`)
  const json = z.record(z.string(), z.unknown()).safeParse(parseJson(bytes, what))
  if (!json.success) throw new EngineError('invalid', `${what} is not a JSON object`)
  const type = String(json.data.mediaType ?? served ?? '')
  if (json.data.schemaVersion === 1 || oldManifestTypes.includes(type))
    throw new EngineError(
      'invalid',
      `${what} has the manifest format "schema 1", which Docker no longer supports either: its publisher must push it again`,
    )
  if (json.data.schemaVersion !== 2) throw new EngineError('invalid', `${what} has no schemaVersion 2`)
  const index = 'manifests' in json.data
  if (index === ('layers' in json.data || 'config' in json.data))
    throw new EngineError('invalid', `${what} is neither clearly a manifest nor clearly an index`)
  return index ? checkIndex(json.data, type, what) : checkManifest(json.data, type, what)
}

function checkIndex(json: unknown, type: string, what: string): Index {
  const { manifests } = checkShape(indexSchema, json, what)
  return { kind: 'index', mediaType: indexTypes.includes(type) ? type : ociIndex, manifests }
}

function checkManifest(json: unknown, type: string, what: string): Manifest {
  const { config, layers } = checkShape(manifestSchema, json, what)
  if (!configTypes.includes(config.mediaType))
    throw new EngineError('invalid', `${what} is no container image: its configuration is a ${config.mediaType}`)
  for (const layer of layers)
    if (!layerTypes.includes(layer.mediaType))
      throw new EngineError('invalid', `${what} has a layer of unknown media type ${JSON.stringify(layer.mediaType)}`)
  return { kind: 'manifest', mediaType: manifestTypes.includes(type) ? type : ociManifest, config, layers }
}

/** Throws invalid with the path of the first thing wrong. */
export function checkShape<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  throw new EngineError('invalid', `${what} is malformed: ${issue.path.join('.')}: ${issue.message}`)
}
