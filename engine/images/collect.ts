/**
 * Mark and sweep over blobs and chains. Roots are images, leases, snapshots (the snapshotter knows them) and what the
 * layers above name. Nothing may be awaited between the decision that something is unused and its removal: whoever
 * leases first and looks afterwards then never sees a thing that is about to go.
 */
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../base/errors.ts'
import type { ImageDepot } from './depot.ts'
import { type Digest, isDigest } from './digest.ts'
import { type Index, type Manifest, parseManifest } from './manifest.ts'

/** Blobs and chains that a layer above needs, for example a build cache. */
export type AlsoUsed = () => { blobs: Iterable<string>; chains: Iterable<string> }

/** Blobs deleted without giving others a turn; unlink(2) of large files takes milliseconds. */
const slice = 16

export class Collector {
  readonly #depot: ImageDepot
  readonly #alsoUsed: AlsoUsed
  /** What each manifest names; manifests never change. */
  readonly #named = new Map<Digest, readonly Digest[]>()

  constructor(depot: ImageDepot, alsoUsed: AlsoUsed) {
    this.#depot = depot
    this.#alsoUsed = alsoUsed
  }

  /** Bytes freed. Safe beside pulls, and to be killed at any moment: what is left over goes next time. */
  async collect(): Promise<number> {
    this.#depot.leases.expire()
    const chainBytes = await this.#depot.snapshotter.collect(this.#chainInUse())
    this.#depot.records.forgetLayers((chainId) => !this.#depot.snapshotter.has(chainId))
    return chainBytes + (await this.#sweepBlobs())
  }

  /** Answers for this very moment: to be used up before anything is awaited. */
  #chainInUse(): (chainId: string) => boolean {
    const { records, leases } = this.#depot
    const used = new Set(this.#alsoUsed().chains)
    for (const { chainId } of records.list()) if (chainId !== undefined) used.add(chainId)
    return (chainId) => used.has(chainId) || leases.holds('chain', chainId)
  }

  async #sweepBlobs(): Promise<number> {
    const { content, leases, records } = this.#depot
    let freed = 0
    const candidates = content.list()
    while (candidates.length > 0) {
      const marked = this.#markBlobs()
      for (const digest of candidates.splice(0, slice)) {
        if (marked.has(digest) || leases.holds('blob', digest) || !content.has(digest)) continue
        freed += content.size(digest)
        content.delete(digest)
        records.forgetBlob(digest)
        this.#named.delete(digest)
      }
      await setImmediate()
    }
    return freed
  }

  #markBlobs(): Set<string> {
    const { records } = this.#depot
    const marked = new Set(this.#alsoUsed().blobs)
    for (const image of records.list()) {
      marked.add(image.id)
      for (const digest of [image.manifestDigest, ...image.digests.map((name) => name.slice(name.indexOf('@') + 1))]) {
        marked.add(digest)
        if (isDigest(digest)) for (const named of this.#blobsOf(digest)) marked.add(named)
      }
    }
    return marked
  }

  /** Configuration and layers of a manifest; of an index nothing, since only one of its images is here. */
  #blobsOf(digest: Digest): readonly Digest[] {
    const known = this.#named.get(digest)
    if (known !== undefined || !this.#depot.content.has(digest)) return known ?? []
    const manifest = readManifest(this.#depot, digest)
    const named = manifest?.kind === 'manifest' ? [manifest.config, ...manifest.layers].map((blob) => blob.digest) : []
    this.#named.set(digest, named)
    return named
  }
}

/** undefined for one that cannot be read: it protects nothing, and its image cannot be pushed or saved any more. */
function readManifest(depot: ImageDepot, digest: Digest): Manifest | Index | undefined {
  try {
    return parseManifest(readFileSync(depot.content.path(digest)), `manifest ${digest}`)
  } catch (error) {
    process.emitWarning(`manifest ${digest} of the image store cannot be read: ${messageOf(error)}`)
    return undefined
  }
}
