/**
 * The snapshotter for overlay(7). Every layer and every writable snapshot is a directory `<root>/snapshots/<integer>`
 * with `fs` (and `work`) in it, plus one row that names it. The row decides: a directory without one is garbage of a
 * crash, which `recover` throws away; so directories are made before their row, and rows go before their directory.
 */
import { chmodSync, closeSync, constants, existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database, Schema } from '../base/database.ts'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { changeMode, changeOwner, openDirectory, statusOf, syncFileSystem } from '../kernel/paths.ffi.ts'
import { Arrivals } from './arrivals.ts'
import type { OverlayMount, SnapshotPart, Snapshotter, SnapshotUsage, StagedLayer } from './snapshotter.ts'
import { Trash } from './trash.ts'
import { inSlices, measure } from './tree.ts'

export const snapshotSchema: Schema = {
  name: 'snapshots',
  migrations: [
    `CREATE TABLE snapshot_layer (
       chain_id TEXT PRIMARY KEY, parent TEXT, directory INTEGER NOT NULL UNIQUE, parts TEXT NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE snapshot (
       key TEXT PRIMARY KEY, chain_id TEXT, directory INTEGER NOT NULL UNIQUE
     ) STRICT, WITHOUT ROWID;`,
  ],
}

type Layer = { directory: number; parent: string | undefined; parts: readonly SnapshotPart[] }

const isDirectory = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true

export class OverlaySnapshotter implements Snapshotter {
  readonly #database: Database
  readonly #root: string
  readonly #trash: Trash
  /** Committed chains, by id. */
  readonly #arrivals = new Arrivals()
  #next = 1

  /** @param root the store's directory; `snapshots` is made in it. The database must carry `snapshotSchema`. */
  constructor(database: Database, root: string) {
    this.#database = database
    this.#root = join(root, 'snapshots')
    // overlayfs wants two layers, or one and an upper: an empty directory is the second where there is none.
    mkdirSync(join(this.#root, 'empty'), { recursive: true })
    chmodSync(join(this.#root, 'empty'), 0o755)
    this.#trash = new Trash(join(this.#root, 'trash'))
  }

  /**
   * Brings rows and directories together after a crash and empties the trash in the background. Before any other use;
   * safe to repeat.
   */
  async recover(): Promise<void> {
    const rows = this.#database.all('SELECT directory FROM snapshot_layer UNION ALL SELECT directory FROM snapshot')
    const known = new Set(rows.map((row) => String(row.directory)))
    for (const name of readdirSync(this.#root)) {
      if (!/^\d+$/.test(name)) continue
      this.#next = Math.max(this.#next, Number(name) + 1)
      if (!known.delete(name)) this.#trash.take(join(this.#root, name))
    }
    // Rows whose directory somebody removed: a layer can be pulled again, a snapshot is lost.
    for (const name of known) {
      this.#database.run('DELETE FROM snapshot_layer WHERE directory = ?', Number(name))
      this.#database.run('DELETE FROM snapshot WHERE directory = ?', Number(name))
    }
    this.#trash.empty()
  }

  /** Resolves when everything removed so far is gone from the disk. */
  settled(): Promise<void> {
    return this.#trash.settled()
  }

  #path(directory: number, part = ''): string {
    return join(this.#root, String(directory), part)
  }

  /** A new directory of the store with `names` in it; the number was never used by a row. */
  #makeDirectory(names: readonly string[]): number {
    for (;;) {
      const number = this.#next
      this.#next += 1
      try {
        mkdirSync(this.#path(number), { mode: 0o700 })
      } catch (error) {
        if (isErrno(error, 'EEXIST')) continue
        throw error
      }
      using unfinished = new DisposableStack()
      unfinished.defer(() => rmSync(this.#path(number), { recursive: true }))
      for (const name of names) mkdirSync(this.#path(number, name), { mode: 0o755 })
      unfinished.move()
      return number
    }
  }

  #layer(chainId: string): Layer | undefined {
    const row = this.#database.get('SELECT directory, parent, parts FROM snapshot_layer WHERE chain_id = ?', chainId)
    if (row === undefined) return undefined
    return {
      directory: Number(row.directory),
      parent: row.parent === null ? undefined : String(row.parent),
      parts: JSON.parse(String(row.parts)) as SnapshotPart[],
    }
  }

  /** Topmost first; undefined when one of them is not here. */
  #chain(chainId: string | undefined): Layer[] | undefined {
    const layers: Layer[] = []
    for (let id = chainId; id !== undefined; ) {
      const layer = this.#layer(id)
      if (layer === undefined) return undefined
      layers.push(layer)
      id = layer.parent
    }
    return layers
  }

  #requireChain(chainId: string | undefined): Layer[] {
    const layers = this.#chain(chainId)
    if (layers === undefined) throw new EngineError('not-found', `no unpacked layers for chain ${chainId}`)
    return layers
  }

  /** What can be seen at each mount point of a chain: `/`, and for the machine's own image its other parts. */
  #parts(layers: readonly Layer[]): SnapshotPart[] {
    const root = { target: '/', lower: layers.map((layer) => this.#path(layer.directory, 'fs')) }
    const others = layers.at(-1)?.parts ?? []
    return [
      root,
      // A layer on top of that image holds its changes to /usr under its own `usr`.
      ...others.map(({ target, lower }) => ({
        target,
        lower: [
          ...root.lower
            .slice(0, -1)
            .map((path) => join(path, target))
            .filter(isDirectory),
          ...lower,
        ],
      })),
    ]
  }

  #writable(directory: number, layers: readonly Layer[]): OverlayMount[] {
    return this.#parts(layers).map(({ target, lower }, index) => ({
      target,
      lower: lower.length > 0 ? lower : [join(this.#root, 'empty')],
      upper: this.#path(directory, index === 0 ? 'fs' : `fs${index}`),
      work: this.#path(directory, index === 0 ? 'work' : `work${index}`),
    }))
  }

  async prepare(key: string, chainId: string | undefined): Promise<readonly OverlayMount[]> {
    const layers = this.#requireChain(chainId)
    if (this.#snapshot(key) !== undefined) throw new EngineError('conflict', `snapshot ${key} exists already`)
    const count = this.#parts(layers).length
    const names = Array.from({ length: count }, (_, index) => index || '').flatMap((n) => [`fs${n}`, `work${n}`])
    const directory = this.#makeDirectory(names)
    try {
      const mounts = this.#writable(directory, layers)
      // The root of an overlay shows its upper directory's owner and mode.
      for (const { upper, lower } of mounts) copyOwnerAndMode(lower[0]!, upper!)
      this.#database.run('INSERT INTO snapshot VALUES (?, ?, ?)', key, chainId ?? null, directory)
      return mounts
    } catch (error) {
      this.#trash.take(this.#path(directory))
      this.#trash.empty()
      throw error
    }
  }

  #snapshot(key: string): { directory: number; chainId: string | undefined } | undefined {
    const row = this.#database.get('SELECT directory, chain_id FROM snapshot WHERE key = ?', key)
    if (row === undefined) return undefined
    return { directory: Number(row.directory), chainId: row.chain_id === null ? undefined : String(row.chain_id) }
  }

  mounts(key: string): readonly OverlayMount[] {
    const snapshot = this.#snapshot(key)
    if (snapshot === undefined) throw new EngineError('not-found', `no snapshot ${key}`)
    return this.#writable(snapshot.directory, this.#requireChain(snapshot.chainId))
  }

  view(chainId: string): readonly OverlayMount[] {
    const empty = join(this.#root, 'empty')
    return this.#parts(this.#requireChain(chainId)).map(({ target, lower }) => ({
      target,
      lower: lower.length > 1 ? lower : [...lower, empty],
    }))
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const sum = { bytes: 0, inodes: 0 }
    for (const { upper } of this.mounts(key)) await measureInto(upper!, sum)
    return sum
  }

  uppers(key: string): readonly { target: string; upper: string; lower: readonly string[] }[] {
    return this.mounts(key).map(({ target, lower, upper }) => ({ target, lower, upper: upper! }))
  }

  async remove(key: string): Promise<void> {
    // From `key/` up to `key0`, the character after the slash: the primary key's index finds them.
    const own = 'key = ? OR (key > ? AND key < ?)'
    const range = [key, `${key}/`, `${key}0`] as const
    const rows = this.#database.all(`SELECT directory FROM snapshot WHERE ${own}`, ...range)
    if (rows.length === 0) return
    this.#database.run(`DELETE FROM snapshot WHERE ${own}`, ...range)
    for (const row of rows) this.#trash.take(this.#path(Number(row.directory)))
    this.#trash.empty()
  }

  has(chainId: string): boolean {
    return this.#chain(chainId) !== undefined
  }

  async until(chainId: string, signal: AbortSignal): Promise<void> {
    if (!this.has(chainId)) await this.#arrivals.wait(chainId, signal)
  }

  async stage(parts: readonly SnapshotPart[] = []): Promise<StagedLayer> {
    const directory = this.#makeDirectory(['fs'])
    const path = this.#path(directory, 'fs')
    copyOwnerAndMode(join(this.#root, 'empty'), path)
    let live = true
    const discard = async (): Promise<void> => {
      if (!live) return
      live = false
      this.#trash.take(this.#path(directory))
      this.#trash.empty()
    }
    return {
      directory: path,
      discard,
      commit: async (chainId, { parent, ownRoot }, synced = false) => {
        if (!live) throw new EngineError('internal', `the staged layer of chain ${chainId} was ended before`)
        const [below] = this.#requireChain(parent)
        if (!ownRoot && below !== undefined) copyOwnerAndMode(this.#path(below.directory, 'fs'), path)
        if (!synced) await syncDirectory(path)
        else if (!ownRoot && below !== undefined) await syncRoot(path)
        // Asked again, in the same step that makes the row: collect may have come meanwhile.
        this.#requireChain(parent)
        const won = this.#database.run(
          'INSERT INTO snapshot_layer VALUES (?, ?, ?, ?) ON CONFLICT (chain_id) DO NOTHING',
          chainId,
          parent ?? null,
          directory,
          JSON.stringify(parts),
        )
        if (won === 0) await discard()
        live = false
        this.#arrivals.tell(chainId)
      },
    }
  }

  async collect(used: (chainId: string) => boolean): Promise<number> {
    const gone = this.#database.transaction(() => {
      const all = this.#database.all('SELECT chain_id, parent, directory FROM snapshot_layer')
      const parents = new Map(
        all.map((row) => [String(row.chain_id), row.parent === null ? undefined : String(row.parent)]),
      )
      const kept = new Set<string>()
      const keep = (id: string | undefined): void => {
        for (let at = id; at !== undefined && !kept.has(at); at = parents.get(at)) kept.add(at)
      }
      for (const id of parents.keys()) if (used(id)) keep(id)
      for (const row of this.#database.all('SELECT DISTINCT chain_id FROM snapshot WHERE chain_id IS NOT NULL'))
        keep(String(row.chain_id))
      const unused = all.filter((row) => !kept.has(String(row.chain_id)))
      for (const row of unused) this.#database.run('DELETE FROM snapshot_layer WHERE chain_id = ?', row.chain_id!)
      return unused.map((row) => Number(row.directory))
    })
    const sum = { bytes: 0, inodes: 0 }
    for (const directory of gone) {
      if (existsSync(this.#path(directory, 'fs'))) await measureInto(this.#path(directory, 'fs'), sum)
      this.#trash.take(this.#path(directory))
    }
    this.#trash.empty()
    return sum.bytes
  }
}

function copyOwnerAndMode(from: string, to: string): void {
  using pair = new DisposableStack()
  const source = pair.adopt(openDirectory(from), closeSync)
  const target = pair.adopt(openDirectory(to), closeSync)
  const { uid, gid, mode } = statusOf(source)
  changeOwner(target, uid, gid)
  changeMode(target, mode & 0o7777)
}

async function measureInto(path: string, sum: SnapshotUsage): Promise<void> {
  const directory = openDirectory(path)
  try {
    await inSlices(measure(directory, sum))
  } finally {
    closeSync(directory)
  }
}

/** The directory alone, not what is in it. */
async function syncRoot(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  await directory.sync()
}

/** All that its file system has. */
async function syncDirectory(path: string): Promise<void> {
  const directory = openDirectory(path)
  try {
    await syncFileSystem(directory)
  } finally {
    closeSync(directory)
  }
}
