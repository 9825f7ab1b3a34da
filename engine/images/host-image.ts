/**
 * The image `host`: this machine's own programs, for a machine that has never seen a registry. Its one layer holds a
 * few files of /etc and an empty rest; /usr, /opt and the like are the machine's directories below the container's own
 * writes. It is listed, inspected and run like every other image.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { EngineError } from '../base/errors.ts'
import { timestamp } from '../base/time.ts'
import type { ImageDepot } from './depot.ts'
import { type Digest, sha256 } from './digest.ts'
import { neededDirectories, searchPath, searchPathWherePresent } from './host-image.table.ts'
import { buildSkeleton, type Skeleton } from './host-skeleton.ts'
import type { Image, ImageConfig } from './image.ts'
import type { Lease } from './leases.ts'
import { ociConfig, ociLayer, ociManifest } from './media-types.table.ts'
import { hostPlatform } from './platform.ts'
import { parseTag } from './reference.ts'
import { unpackLayer } from './unpack.ts'

export const hostReference = 'host:latest'

export type HostSource = {
  /** The root of the machine. */
  machine: string
  /** The engine's own directory, which must not be below one of the image's. */
  store: string
}

/**
 * Registers the image, or brings it up to date with the machine's files; for the start of the engine. What runs keeps
 * the layer that it was made from. unavailable where the machine has no usable /usr.
 */
export async function refreshHostImage(depot: ImageDepot, source: HostSource): Promise<Image> {
  const skeleton = buildSkeleton(source.machine, source.store)
  for (const needed of neededDirectories)
    if (!skeleton.parts.some(({ target }) => target === `/${needed}`))
      throw new EngineError(
        'unavailable',
        `the image "host" needs /${needed}: it is missing, a link, or holds the engine's directory ${source.store}`,
      )
  const chain = sha256(skeleton.archive)
  const config = Buffer.from(JSON.stringify(configOf(skeleton, chain, source.machine)))
  const known = depot.records.byId(sha256(config))
  const named = depot.records.byReference(parseTag(hostReference))
  if (known !== undefined && known.id === named?.id && depot.snapshotter.has(chain)) return known
  using lease = depot.leases.open()
  lease.chain(chain)
  await unpackSkeleton(depot, skeleton, chain)
  return await register(depot, lease, skeleton, config)
}

async function unpackSkeleton(depot: ImageDepot, { archive, parts }: Skeleton, chain: Digest): Promise<void> {
  if (depot.snapshotter.has(chain)) return
  const staged = await depot.snapshotter.stage(parts)
  try {
    const limits = { maxBytes: archive.length, maxEntries: archive.length / 512 }
    const { bytes, ownRoot } = await unpackLayer(Readable.from([archive]), staged.directory, limits)
    depot.records.layerUnpacked(chain, bytes)
    await staged.commit(chain, { parent: undefined, ownRoot })
  } catch (error) {
    await staged.discard()
    throw error
  }
}

async function register(depot: ImageDepot, lease: Lease, { archive }: Skeleton, bytes: Buffer): Promise<Image> {
  const layer = await lease.write(depot.content, archive)
  const config = await lease.write(depot.content, bytes)
  const manifest = await lease.write(
    depot.content,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: { mediaType: ociConfig, ...config },
      layers: [{ mediaType: ociLayer, ...layer }],
    }),
  )
  return depot.records.createImage({
    manifestDigest: manifest.digest,
    configDigest: config.digest,
    config: JSON.parse(bytes.toString()) as ImageConfig,
    references: [parseTag(hostReference)],
    host: { chainId: layer.digest },
  })
}

function configOf({ parts, changed }: Skeleton, chain: Digest, machine: string): ImageConfig {
  const has = (path: string): boolean => existsSync(join(machine, path))
  const { os, architecture, variant } = hostPlatform()
  const created = timestamp(changed)
  const directories = parts.map(({ target }) => target).join(', ')
  return {
    created,
    architecture,
    os,
    ...(variant !== '' && { variant }),
    config: {
      Env: [`PATH=${[...searchPath, ...searchPathWherePresent.filter(has)].join(':')}`],
      Cmd: [has('/bin/bash') || has('/usr/bin/bash') ? 'bash' : 'sh'],
      WorkingDir: '/',
    },
    rootfs: { type: 'layers', diff_ids: [chain] },
    history: [
      {
        created,
        created_by: `this machine's ${directories} and a few files of /etc`,
        comment: 'drydock: runs here only; cannot be saved or pushed',
      },
    ],
  }
}

/** Throws invalid for the image `host` and whatever was built on it: its programs are not in its layers. */
export function refuseToMove({ snapshotter }: ImageDepot, image: Image, verb: string): void {
  const parts = image.chainId === undefined ? [] : snapshotter.view(image.chainId)
  if (!image.host && parts.length < 2) return
  const name = image.tags[0] ?? image.id
  throw new EngineError(
    'invalid',
    `cannot ${verb} ${name}: its programs are this machine's own directories, which no layer holds`,
  )
}
