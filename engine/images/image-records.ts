/** What the store knows of each image: rows in, `Image` out. References are kept in full form and shown familiar. */
import type { Database, Row } from '../base/database.ts'
import { EngineError } from '../base/errors.ts'
import { chainIds, type Digest, isDigest } from './digest.ts'
import type { Image, ImageConfig } from './image.ts'
import {
  familiar,
  familiarName,
  isBareId,
  parseReference,
  type Reference,
  repositoryName,
  withDefaultTag,
} from './reference.ts'

export type NewImage = {
  manifestDigest: Digest
  /** Becomes the image's id. */
  configDigest: Digest
  config: ImageConfig
  /** Each with a tag (moved here from another image) or a digest (recorded as served by a registry). */
  references: readonly Reference[]
  /** Where its layer blobs came from (`docker.io/library/alpine`): a later push can mount them from there. */
  blobSources?: { repository: string; blobs: readonly Digest[] }
  /** The embedded image: its chain stands for host directories, and `size` is not of this store. */
  host?: { chainId: string }
}

const columns = 'id, manifest_digest, chain_id, config, size, host'

export class ImageRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Registers an image, or gives a known one its further references, in one transaction. Precondition: its manifest,
   * configuration and layer blobs are in the content store, its chain is unpacked, and a lease holds them. Of two
   * manifests for one image the one from a registry stays: a push is to send that again, not one made here.
   */
  createImage(image: NewImage): Image {
    return this.#database.transaction(() => {
      const chains = chainIds(image.config.rootfs.diff_ids as Digest[])
      const size = chains.reduce((sum, chain) => sum + this.layerBytes(chain), 0)
      this.#database.run(
        `INSERT INTO image (${columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET manifest_digest = iif(?7, ?2, manifest_digest), chain_id = ?3, size = ?5, host = ?6`,
        image.configDigest,
        image.manifestDigest,
        image.host?.chainId ?? chains.at(-1) ?? null,
        JSON.stringify(image.config),
        size,
        image.host === undefined ? 0 : 1,
        image.blobSources === undefined ? 0 : 1,
      )
      for (const reference of image.references) this.addReference(image.configDigest, reference)
      for (const blob of image.blobSources?.blobs ?? []) this.addBlobSource(blob, image.blobSources!.repository)
      return this.byId(image.configDigest)!
    })
  }

  /** A tag moves here from whichever image had it; a reference with a digest is recorded as that digest. */
  addReference(imageId: string, reference: Reference): void {
    const repository = repositoryName(reference)
    if (reference.digest !== undefined)
      this.#database.run(
        'INSERT INTO image_digest VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET image_id = ?3',
        repository,
        reference.digest,
        imageId,
      )
    else
      this.#database.run(
        'INSERT INTO image_tag VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET image_id = ?3',
        repository,
        reference.tag ?? 'latest',
        imageId,
      )
  }

  removeReference(reference: Reference): void {
    const repository = repositoryName(reference)
    if (reference.digest === undefined)
      this.#database.run(
        'DELETE FROM image_tag WHERE repository = ? AND tag = ?',
        repository,
        reference.tag ?? 'latest',
      )
    else
      this.#database.run('DELETE FROM image_digest WHERE repository = ? AND digest = ?', repository, reference.digest)
  }

  /** Tags first, then digests, each in order of name. */
  references(imageId: string): Reference[] {
    const tags = this.#database.all(
      'SELECT repository, tag AS suffix FROM image_tag WHERE image_id = ? ORDER BY repository, tag',
      imageId,
    )
    const digests = this.#database.all(
      'SELECT repository, digest AS suffix FROM image_digest WHERE image_id = ? ORDER BY repository, digest',
      imageId,
    )
    return [
      ...tags.map((row) => ({ ...split(row), tag: String(row.suffix) })),
      ...digests.map((row) => ({ ...split(row), digest: String(row.suffix) })),
    ]
  }

  /** All tags of a repository, by its full name. */
  tagsOf(repository: string): string[] {
    return this.#database
      .all('SELECT tag FROM image_tag WHERE repository = ? ORDER BY tag', repository)
      .map((row) => String(row.tag))
  }

  /** Several changes, all or none. */
  atomically<T>(work: () => T): T {
    return this.#database.transaction(work)
  }

  byId(id: string): Image | undefined {
    const row = this.#database.get(`SELECT ${columns} FROM image WHERE id = ?`, id)
    return row && this.#image(row)
  }

  /** By tag (`latest` implied) or digest; the digest wins. */
  byReference(reference: Reference): Image | undefined {
    const { tag, digest } = withDefaultTag(reference)
    const row =
      digest === undefined
        ? this.#database.get(
            'SELECT image_id FROM image_tag WHERE repository = ? AND tag = ?',
            repositoryName(reference),
            tag!,
          )
        : this.#database.get(
            'SELECT image_id FROM image_digest WHERE repository = ? AND digest = ?',
            repositoryName(reference),
            digest,
          )
    return row && this.byId(String(row.image_id))
  }

  /** Full id, then reference, then unique id prefix; wire fact: the order of Docker. not-found: `No such image: …`. */
  get(text: string): Image {
    const id = isBareId(text) ? `sha256:${text}` : text
    if (isDigest(id)) {
      const image = this.byId(id)
      if (image === undefined) throw new EngineError('not-found', `No such image: ${text}`)
      return image
    }
    const reference = parseReference(text)
    const image = this.byReference(reference) ?? this.#byPrefix(text)
    if (image === undefined) throw new EngineError('not-found', `No such image: ${familiar(withDefaultTag(reference))}`)
    return image
  }

  #byPrefix(text: string): Image | undefined {
    const prefix = text.replace(/^sha256:/, '')
    if (!/^[0-9a-f]{1,63}$/.test(prefix)) return undefined
    const rows = this.#database.all(`SELECT ${columns} FROM image WHERE id LIKE ? LIMIT 2`, `sha256:${prefix}%`)
    return rows.length === 1 ? this.#image(rows[0]!) : undefined
  }

  list(): Image[] {
    return this.#database.all(`SELECT ${columns} FROM image ORDER BY id`).map((row) => this.#image(row))
  }

  /** Cascades to tags and digests. */
  delete(imageId: string): void {
    this.#database.run('DELETE FROM image WHERE id = ?', imageId)
  }

  /** To be called when a layer has been unpacked: what `createImage` adds up. */
  layerUnpacked(chainId: string, bytes: number): void {
    this.#database.run('INSERT INTO image_layer VALUES (?1, ?2) ON CONFLICT DO UPDATE SET bytes = ?2', chainId, bytes)
  }

  /** Bytes of one unpacked layer, without those below it; 0 for one that was never recorded. */
  layerBytes(chainId: string): number {
    return Number(this.#database.get('SELECT bytes FROM image_layer WHERE chain_id = ?', chainId)?.bytes ?? 0)
  }

  forgetLayers(gone: (chainId: string) => boolean): void {
    this.#database.transaction(() => {
      for (const { chain_id } of this.#database.all('SELECT chain_id FROM image_layer'))
        if (gone(String(chain_id))) this.#database.run('DELETE FROM image_layer WHERE chain_id = ?', String(chain_id))
    })
  }

  /** A repository that is known to hold the blob: a push can mount it from there. */
  addBlobSource(digest: Digest, repository: string): void {
    this.#database.run('INSERT OR IGNORE INTO image_blob_source VALUES (?, ?)', digest, repository)
  }

  blobSources(digest: Digest): string[] {
    return this.#database
      .all('SELECT repository FROM image_blob_source WHERE digest = ? ORDER BY repository', digest)
      .map((row) => String(row.repository))
  }

  forgetBlob(digest: Digest): void {
    this.#database.run('DELETE FROM image_blob_source WHERE digest = ?', digest)
  }

  #image(row: Row): Image {
    const id = String(row.id)
    const references = this.references(id)
    return {
      id,
      tags: references.filter((reference) => reference.tag !== undefined).map(familiar),
      digests: references
        .filter((reference) => reference.digest !== undefined)
        .map((reference) => `${familiarName(reference)}@${reference.digest}`),
      config: JSON.parse(String(row.config)) as ImageConfig,
      chainId: row.chain_id === null ? undefined : String(row.chain_id),
      manifestDigest: String(row.manifest_digest),
      size: Number(row.size),
      host: row.host === 1,
    }
  }
}

function split(row: Row): { domain: string; path: string } {
  const repository = String(row.repository)
  const slash = repository.indexOf('/')
  return { domain: repository.slice(0, slash), path: repository.slice(slash + 1) }
}
