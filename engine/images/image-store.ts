/** The images of one engine: composition of this folder, the contract `Images` on top. */
import type { Readable } from 'node:stream'
import type { Database } from '../base/database.ts'
import { isNoSpace } from '../base/no-space.ts'
import type { Snapshotter } from '../snapshots/snapshotter.ts'
import { type AlsoUsed, Collector } from './collect.ts'
import { commitImage } from './commit.ts'
import type { ContentStore } from './content-store.ts'
import type { ImageDepot, OnImageEvent } from './depot.ts'
import type { Digest } from './digest.ts'
import { historyOf } from './history.ts'
import type {
  CommitOptions,
  DeletedImage,
  HistoryEntry,
  Image,
  Images,
  ImageUse,
  ImportOptions,
  LayerUse,
  LocalManifest,
  OnProgress,
  PruneImages,
  PullOptions,
  RegistryAuth,
  RemoteImage,
  SearchHit,
} from './image.ts'
import { ImageRecords } from './image-records.ts'
import { importImage } from './import.ts'
import { fetchArchive } from './import-address.ts'
import { layerUse } from './layer-use.ts'
import { Leases } from './leases.ts'
import { type LoadOptions, loadImages } from './load.ts'
import { manifestOf } from './new-image.ts'
import { pullAllTags, pullImage } from './pull.ts'
import { pushImage } from './push.ts'
import { familiar, parseReference, parseTag } from './reference.ts'
import { RegistrySession } from './registry-client.ts'
import { endpointsOf, type RegistryConfig, registryDefaults } from './registry-config.ts'
import { remoteImage } from './remote-image.ts'
import { pruneImages, type RemovalContext, removeImage, removeOldHosts } from './remove.ts'
import { saveImages } from './save.ts'
import { type SearchOptions, searchIndex } from './search.ts'
import { Transfers, type UnpackLimits } from './transfers.ts'
import type { UnpackersOptions } from './unpackers.ts'

export type ImageStoreOptions = {
  /** Must carry `imageSchema`. */
  readonly database: Database
  readonly content: ContentStore
  readonly snapshotter: Snapshotter
  /** Containers that stand on the image. */
  readonly usedBy: (imageId: string) => readonly ImageUse[]
  readonly onEvent?: OnImageEvent
  readonly alsoUsed?: AlsoUsed
  readonly registry?: Partial<RegistryConfig>
  readonly limits?: Partial<UnpackLimits>
  readonly unpackers?: UnpackersOptions
}

/** 256 GiB and ten million files: far beyond real images, short of what a few kilobytes of zeros can unpack to. */
const unpackDefaults: UnpackLimits = { maxBytes: 256 * 1024 ** 3, maxEntries: 10_000_000 }

export class ImageStore implements Images, AsyncDisposable {
  /** For those who put images together: build, load, import, commit. */
  readonly depot: ImageDepot
  readonly transfers: Transfers
  readonly #session: RegistrySession
  readonly #collector: Collector
  readonly #removal: RemovalContext

  constructor(options: ImageStoreOptions) {
    const { database, content, snapshotter, usedBy } = options
    const onEvent = options.onEvent ?? (() => {})
    const records = new ImageRecords(database)
    this.depot = { content, records, leases: new Leases(database), snapshotter, onEvent }
    this.#session = new RegistrySession({ ...registryDefaults, ...options.registry })
    this.transfers = new Transfers(this.#session, { ...unpackDefaults, ...options.limits }, options.unpackers)
    this.#collector = new Collector(this.depot, options.alsoUsed ?? (() => ({ blobs: [], chains: [] })))
    this.#removal = { depot: this.depot, collector: this.#collector, usedBy }
  }

  /** After a start, before anything else: brings the store in order, whatever the last daemon was doing when it ended. */
  async recover(): Promise<void> {
    this.depot.content.recover()
    this.depot.leases.abandonAll()
    await this.collect()
  }

  get(reference: string): Image {
    return this.depot.records.get(reference)
  }

  list(): Image[] {
    return this.depot.records.list()
  }

  async pull(reference: string, options: PullOptions): Promise<Image> {
    return await this.#orFree(pullImage(this.depot, this.transfers, reference, options))
  }

  async pullAll(repository: string, options: PullOptions): Promise<Image[]> {
    return await this.#orFree(pullAllTags(this.depot, this.transfers, repository, options))
  }

  async remote(reference: string, options: PullOptions): Promise<RemoteImage> {
    return await remoteImage(this.transfers, reference, options)
  }

  async search(term: string, options: SearchOptions): Promise<SearchHit[]> {
    return await searchIndex(this.#session, term, options)
  }

  async manifest(image: Image): Promise<LocalManifest | undefined> {
    if (image.host) return undefined
    const { mediaType, config, layers } = await manifestOf(this.depot, image)
    const size = this.depot.content.size(image.manifestDigest as Digest)
    const content = [config, ...layers].reduce((sum, blob) => sum + blob.size, size)
    return { mediaType, digest: image.manifestDigest, size, content }
  }

  layerUse(): LayerUse {
    return layerUse(this.list(), this.depot.records)
  }

  async push(reference: string, options: PullOptions): Promise<void> {
    await pushImage(this.depot, this.transfers, reference, options)
  }

  tag(image: string, reference: string): void {
    const { records, onEvent } = this.depot
    const tag = parseTag(reference)
    const found = records.get(image)
    records.addReference(found.id, tag)
    onEvent('tag', found.id, { ...found.config.config?.Labels, name: familiar(tag) })
  }

  async remove(reference: string, options: { force: boolean; prune: boolean }): Promise<DeletedImage[]> {
    return await removeImage(this.#removal, reference, options)
  }

  async prune(options: PruneImages): Promise<{ deleted: DeletedImage[]; bytes: number }> {
    return await pruneImages(this.#removal, options)
  }

  /** After the machine's own image was refreshed: those that it replaced, and that nobody uses, go. */
  async removeOldHosts(): Promise<void> {
    await removeOldHosts(this.#removal)
  }

  async load(archive: NodeJS.ReadableStream, options: LoadOptions): Promise<string[]> {
    return await this.#orFree(loadImages(this.depot, this.transfers, archive, options))
  }

  async save(references: string[]): Promise<NodeJS.ReadableStream> {
    return await saveImages(this.depot, references)
  }

  async fetchArchive(address: string, options: { progress: OnProgress; signal: AbortSignal }): Promise<Readable> {
    return await fetchArchive(this.#session, address, options)
  }

  async import(archive: NodeJS.ReadableStream, options: ImportOptions): Promise<Image> {
    return await this.#orFree(importImage(this.depot, this.transfers, archive, options))
  }

  async commit(options: CommitOptions): Promise<Image> {
    return await this.#orFree(commitImage(this.depot, this.transfers, options))
  }

  history(reference: string): HistoryEntry[] {
    return historyOf(this.get(reference), this.depot.records)
  }

  async collect(): Promise<number> {
    return await this.#collector.collect()
  }

  /**
   * What failed leaves nothing that nobody holds. On a full disk, neither what earlier tries left for later ones: it
   * would keep the disk full.
   */
  async #orFree<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      try {
        if (isNoSpace(error)) {
          this.depot.content.dropPartial()
          this.depot.leases.dropAbandoned()
        }
        await this.collect()
      } catch (problem) {
        throw new SuppressedError(problem, error)
      }
      throw error
    }
  }

  /**
   * Are these credentials good? unauthorized if not, unavailable if nobody answers. The address is a host, or Docker
   * Hub's old URL, which clients still keep its credentials under.
   */
  async login(auth: RegistryAuth, signal?: AbortSignal): Promise<void> {
    const host = (auth.serveraddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '')
    const domain = host === '' || host === 'index.docker.io' ? 'docker.io' : parseReference(`${host}/x`).domain
    const [endpoint] = endpointsOf({ domain }, this.#session.config, false)
    await this.#session.login(endpoint!, auth, signal)
  }

  /** Ends all threads and connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.transfers[Symbol.asyncDispose]()
  }
}
