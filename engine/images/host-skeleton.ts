/**
 * The generated layer of the image `host`: everything but the machine's program directories. Read as root from a tree
 * that only root can write, by the list of host-image.table.ts.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SnapshotPart } from '../snapshots/snapshotter.ts'
import { emptyDirectories, emptyFiles, etcEntries, fixedLinks, machineDirectories } from './host-image.table.ts'
import type { TarEntry, TarType } from './tar-reader.ts'
import { padding, plainEntry, tarEnd, tarHeader } from './tar-writer.ts'

/** No file of the list is larger on an honest machine; bytes. */
const largestFile = 4 * 1024 * 1024

type Item = { entry: TarEntry; contents?: Buffer }
type Items = Map<string, Item>

export type Skeleton = {
  /** The layer as tar; the same machine gives the same bytes. */
  archive: Buffer
  /** The machine's directories, with where they are seen. */
  parts: SnapshotPart[]
  /** When the newest of the files changed; milliseconds. */
  changed: number
}

const bytes = (text: string): string => Buffer.from(text).toString('latin1')

function described(path: string, type: TarType, status: Stats): TarEntry {
  return {
    ...plainEntry(bytes(path), type, status.mode & 0o7777),
    uid: status.uid,
    gid: status.gid,
    modified: { seconds: Math.floor(status.mtimeMs / 1000), nanoseconds: 0 },
  }
}

/** Adds the file or tree at `path`, leaving out what not everybody may read. */
function take(machine: string, path: string, items: Items): void {
  const source = join(machine, path)
  const status = lstatSync(source, { throwIfNoEntry: false })
  if (status === undefined) return
  if (status.isSymbolicLink()) {
    items.set(path, { entry: { ...described(path, 'symlink', status), linkName: bytes(readlinkSync(source)) } })
  } else if (status.isDirectory()) {
    if ((status.mode & 0o005) !== 0o005) return
    items.set(path, { entry: described(path, 'directory', status) })
    for (const name of readdirSync(source)) take(machine, join(path, name), items)
  } else if (status.isFile() && (status.mode & 0o004) !== 0 && status.size <= largestFile) {
    const contents = readFileSync(source)
    // Of a set-id program the bits are dropped: none of these is to be run.
    const entry = described(path, 'file', status)
    items.set(path, { entry: { ...entry, mode: entry.mode & 0o777, size: contents.length }, contents })
  }
}

function withParents(items: Items): void {
  for (const path of [...items.keys()])
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent))
      if (!items.has(parent)) items.set(parent, { entry: plainEntry(bytes(parent), 'directory', 0o755) })
}

/**
 * @param machine the root to take from: `/`
 * @param store a directory of the engine: a machine directory that holds it cannot be a lower layer of it; overlay(5)
 */
export function buildSkeleton(machine: string, store: string): Skeleton {
  const items: Items = new Map()
  const parts: SnapshotPart[] = []
  for (const [path, mode] of emptyDirectories) items.set(path, { entry: plainEntry(path, 'directory', mode) })
  for (const path of emptyFiles) items.set(path, { entry: plainEntry(path, 'file', 0o644) })
  for (const [path, target] of fixedLinks)
    items.set(path, { entry: { ...plainEntry(path, 'symlink', 0o777), linkName: target } })
  for (const name of etcEntries) take(machine, join('etc', name), items)
  for (const name of machineDirectories) {
    const source = join(machine, name)
    const status = lstatSync(source, { throwIfNoEntry: false })
    if (status?.isSymbolicLink()) take(machine, name, items)
    if (!status?.isDirectory() || `${store}/`.startsWith(`${source}/`)) continue
    items.set(name, { entry: plainEntry(name, 'directory', 0o755) })
    parts.push({ target: `/${name}`, lower: [source] })
  }
  withParents(items)
  const sorted = [...items.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item)
  const changed = Math.max(...sorted.map(({ entry }) => entry.modified.seconds)) * 1000
  return { archive: Buffer.concat([...sorted.flatMap(written), tarEnd]), parts, changed }
}

const written = ({ entry, contents }: Item): Buffer[] =>
  contents === undefined ? [tarHeader(entry)] : [tarHeader(entry), contents, padding(contents.length)]
