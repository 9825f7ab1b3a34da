/** Named volumes in directories of the store; wire facts 157, 158, 162, 164. */
import { closeSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database, Row, Schema } from '../base/database.ts'
import { EngineError } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import { timestamp } from '../base/time.ts'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { openDirectory } from '../kernel/paths.ffi.ts'
import { Trash } from '../snapshots/trash.ts'
import { inSlices, measure } from '../snapshots/tree.ts'
import { checkVolumeAccess } from './host-path.ts'
import type { Volume, Volumes } from './volume.ts'
import { checkVolumeOptions, volumeName } from './volume-options.ts'

export const volumeSchema: Schema = {
  name: 'volumes',
  migrations: [
    `CREATE TABLE volume (
      name TEXT PRIMARY KEY,
      created TEXT NOT NULL,
      labels TEXT NOT NULL,
      options TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `ALTER TABLE volume ADD COLUMN client TEXT`,
  ],
}

/** Of the trash: not a name that a volume can have. */
const trashName = '.trash'
/** In the directory of a volume that is being removed: written before its row goes. */
const removalMark = 'removing'

export class LocalVolumes implements Volumes {
  readonly #database: Database
  readonly #root: string
  readonly #trash: Trash

  /** @param root the store's directory; `volumes` is made in it. The database must carry `volumeSchema`. */
  constructor(database: Database, root: string) {
    this.#database = database
    this.#root = join(root, 'volumes')
    mkdirSync(this.#root, { recursive: true, mode: 0o701 })
    this.#trash = new Trash(join(this.#root, trashName))
    this.#trash.empty()
    this.#recover()
  }

  /**
   * Directories without a row: what a killed daemon had begun to make or to remove. One that has files and no mark is
   * left alone, in case that it is the database that was lost.
   */
  #recover(): void {
    const names = readdirSync(this.#root).filter((name) => name !== trashName && this.#find(name) === undefined)
    for (const name of names)
      if (existsSync(join(this.#root, name, removalMark))) this.#discard(name)
      else this.#discardEmpty(name)
  }

  get(name: string): Volume {
    const volume = this.#find(name)
    if (volume === undefined) throw new EngineError('not-found', `get ${name}: no such volume`)
    return volume
  }

  #find(name: string): Volume | undefined {
    const row = this.#database.get('SELECT * FROM volume WHERE name = ?', name)
    return row === undefined ? undefined : this.#read(row)
  }

  #read(row: Row): Volume {
    const name = String(row.name)
    return {
      name,
      driver: 'local',
      mountpoint: join(this.#root, name, '_data'),
      created: String(row.created),
      labels: JSON.parse(String(row.labels)) as Record<string, string>,
      options: JSON.parse(String(row.options)) as Record<string, string>,
      ...(row.client === null ? {} : { client: JSON.parse(String(row.client)) as Credentials }),
    }
  }

  list(): Volume[] {
    return this.#database.all('SELECT * FROM volume ORDER BY name').map((row) => this.#read(row))
  }

  async create(request: {
    name?: string
    driver?: string
    labels?: Record<string, string>
    options?: Record<string, string>
    client?: Credentials
  }): Promise<Volume> {
    const name = request.name ? volumeName(request.name) : newId()
    const driver = request.driver || 'local'
    if (driver !== 'local')
      throw new EngineError('not-found', `error looking up volume plugin ${driver}: plugin "${driver}" not found`)
    checkVolumeOptions(request.options ?? {})
    const known = this.#find(name)
    if (known !== undefined) return known
    if (request.client !== undefined) checkVolumeAccess(request.options ?? {}, request.client)
    // A directory without a row is what a crash left of another volume: its files are nobody's.
    this.#discard(name)
    using unfinished = new DisposableStack()
    mkdirSync(join(this.#root, name), { mode: 0o701 })
    unfinished.defer(() => this.#discard(name))
    mkdirSync(join(this.#root, name, '_data'), { mode: 0o755 })
    const labels = { ...request.labels, ...(request.name ? {} : { 'com.docker.volume.anonymous': '' }) }
    this.#database.run(
      'INSERT INTO volume (name, created, labels, options, client) VALUES (?, ?, ?, ?, ?)',
      name,
      timestamp(),
      JSON.stringify(labels),
      JSON.stringify(request.options ?? {}),
      request.client === undefined ? null : JSON.stringify(request.client),
    )
    unfinished.move()
    return this.get(name)
  }

  /** The row first: a volume is there as a whole or not at all. */
  async remove(name: string, options: { force: boolean; usedBy: string[] }): Promise<void> {
    if (this.#find(name) === undefined) {
      if (options.force) return
      throw new EngineError('not-found', `get ${name}: no such volume`)
    }
    if (options.usedBy.length > 0)
      throw new EngineError('conflict', `remove ${name}: volume is in use - [${options.usedBy.join(', ')}]`)
    writeFileSync(join(this.#root, name, removalMark), '')
    this.#database.run('DELETE FROM volume WHERE name = ?', name)
    this.#discard(name)
  }

  /** Whether it was empty and is gone. */
  #discardEmpty(name: string): boolean {
    const path = join(this.#root, name)
    try {
      rmdirSync(join(path, '_data'))
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY')) return false
      if (!isErrno(error, 'ENOENT')) throw error
    }
    rmSync(join(path, removalMark), { force: true })
    rmdirSync(path)
    return true
  }

  #discard(name: string): void {
    const path = join(this.#root, name)
    if (!existsSync(path)) return
    // An empty one, as most are, goes at once.
    if (this.#discardEmpty(name)) return
    this.#trash.take(path)
    this.#trash.empty()
  }

  /** Bytes of the files in it. */
  async usage(name: string): Promise<number> {
    const directory = openDirectory(this.get(name).mountpoint)
    try {
      const sum = { bytes: 0, inodes: 0 }
      await inSlices(measure(directory, sum))
      return sum.bytes
    } finally {
      closeSync(directory)
    }
  }

  /** Resolves when the files of everything removed so far are gone from the disk. */
  settled(): Promise<void> {
    return this.#trash.settled()
  }
}
