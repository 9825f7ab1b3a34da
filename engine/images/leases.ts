/**
 * A lease keeps blobs and chains from collection while an image is being put together. It is a row: after a crash, or
 * when a pull fails, what has been fetched stays for a day, so that trying again does not begin at nothing.
 *
 * Order for whoever holds one: first `blob` or `chain`, then look whether the store has it. Collection decides and
 * deletes each thing in one synchronous step, so nothing that was seen after being leased can vanish.
 */
import type { Database } from '../base/database.ts'
import { newId } from '../base/identifier.ts'
import { abandonedAfter, type ContentStore } from './content-store.ts'
import type { Digest } from './digest.ts'
import type { Expected } from './ingest.ts'

export class Leases {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  open(): Lease {
    return new Lease(this.#database, newId())
  }

  /** Is the blob or chain held by anyone? */
  holds(kind: 'blob' | 'chain', held: string): boolean {
    return this.#database.get('SELECT 1 FROM image_lease_hold WHERE kind = ? AND held = ?', kind, held) !== undefined
  }

  /** Forgets leases whose time is over. A pull that lasts longer than a day renews its own by each thing it adds. */
  expire(now: number = Date.now()): void {
    this.#database.run('DELETE FROM image_lease WHERE expires <= ?', now)
  }

  /** At start: whoever held the leases that are there does not live any more. */
  abandonAll(): void {
    this.#database.run('UPDATE image_lease SET abandoned = 1')
  }

  /** Forgets what failed and killed work left to be gone on with. */
  dropAbandoned(): void {
    this.#database.run('DELETE FROM image_lease WHERE abandoned = 1')
  }
}

/** Disposed without `keep`, it holds nothing any more. */
export class Lease implements Disposable {
  readonly #database: Database
  readonly #id: string
  #kept = false

  constructor(database: Database, id: string) {
    this.#database = database
    this.#id = id
  }

  #hold(kind: 'blob' | 'chain', held: string): void {
    this.#database.transaction(() => {
      const expires = Date.now() + abandonedAfter
      this.#database.run(
        'INSERT INTO image_lease (id, expires) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET expires = ?2',
        this.#id,
        expires,
      )
      this.#database.run('INSERT OR IGNORE INTO image_lease_hold VALUES (?, ?, ?)', this.#id, held, kind)
    })
  }

  blob(digest: Digest): void {
    this.#hold('blob', digest)
  }

  chain(chainId: string): void {
    this.#hold('chain', chainId)
  }

  /** ContentStore.write, with the blob held before it can be seen. */
  write(
    content: ContentStore,
    source: AsyncIterable<Uint8Array> | Uint8Array | string,
    expected?: Expected,
    signal?: AbortSignal,
  ): Promise<{ digest: Digest; size: number }> {
    return content.write(source, expected, signal, (digest) => this.blob(digest))
  }

  /** Leaves what is held until the lease expires: the image was not finished, but may be tried again. */
  keep(): void {
    this.#kept = true
  }

  [Symbol.dispose](): void {
    if (this.#kept) this.#database.run('UPDATE image_lease SET abandoned = 1 WHERE id = ?', this.#id)
    else this.#database.transaction(() => this.#end())
  }

  /** What earlier tries at the same left goes along: those abandoned leases that hold nothing but what this one does. */
  #end(): void {
    this.#database.run(
      `DELETE FROM image_lease WHERE abandoned = 1 AND NOT EXISTS (
         SELECT 1 FROM image_lease_hold old WHERE old.lease = image_lease.id AND NOT EXISTS (
           SELECT 1 FROM image_lease_hold own WHERE own.lease = ? AND own.kind = old.kind AND own.held = old.held))`,
      this.#id,
    )
    this.#database.run('DELETE FROM image_lease WHERE id = ?', this.#id)
  }
}
