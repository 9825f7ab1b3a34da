/**
 * docker cp: files of a container's root as tar, and tar into it. The root is a descriptor, of a running container or
 * of a view; every path is resolved inside it, as after chroot(2), whatever links the container has laid.
 */
import { closeSync } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { EngineError } from '../base/errors.ts'
import { errnoName } from '../kernel/errno.table.ts'
import {
  type FileStatus,
  type FileTime,
  fileTypes,
  openFlags,
  readLinkAt,
  resolveFlags,
  statusAt,
  statusOf,
  tryOpenAt,
} from '../kernel/paths.ffi.ts'
import { rawName } from '../snapshots/tree.ts'
import { decompressed } from './decompress.ts'
import { goFileMode } from './go-file-mode.ts'
import { TarReader } from './tar-reader.ts'
import { archiveTree, type Found, type LinkBook, paced, tarPieces, walk } from './tar-tree.ts'
import { tarEnd } from './tar-writer.ts'
import { TreeWriter } from './tree-writer.ts'

/** An open root directory; disposing closes it. */
export type OpenRoot = Disposable & {
  readonly fd: number
  /** Owners as the archive has them: of a root that is seen from outside of its user namespace. */
  readonly mapOwner?: (owner: { uid: number; gid: number }) => { uid: number; gid: number }
}

/** What the header X-Docker-Container-Path-Stat says; `mode` is Go's, `mtime` RFC 3339. */
export type PathStatus = { name: string; size: number; mode: number; mtime: string; linkTarget: string }

const insideRoot = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS

const bytes = (text: string): string => Buffer.from(text).toString('latin1')

type Located = Found &
  Disposable & {
    /** What the top entry is called: the path's last part, `.` or `/`. */
    top: string
  }

/** Finds the path in the root. Its last part is followed only where a slash or dot says that a directory is meant. */
function locate(root: number, path: string, container: string): Located {
  const clean = posix.normalize(`/${path}`)
  const dotted = /\/\.?$/.test(path)
  const { parent, name } = dotted || clean === '/' ? { parent: clean, name: '.' } : splitAt(clean)
  const flags = openFlags.O_RDONLY | openFlags.O_DIRECTORY
  const directory = tryOpenAt(root, rawName(bytes(parent)), { flags, resolve: insideRoot })
  if (directory < 0) throw failedLookup(errnoName(-directory), path, container)
  const status = statusAt(directory, rawName(bytes(name)))
  if (status === undefined) {
    closeSync(directory)
    throw failedLookup('ENOENT', path, container)
  }
  const top = clean === '/' ? '/' : path.endsWith('/.') ? '.' : posix.basename(clean)
  return { path: bytes(top), directory, name: bytes(name), status, top, [Symbol.dispose]: () => closeSync(directory) }
}

const splitAt = (clean: string): { parent: string; name: string } => ({
  parent: posix.dirname(clean),
  name: posix.basename(clean),
})

function failedLookup(code: string, path: string, container: string): EngineError {
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP')
    return new EngineError('not-found', `Could not find the file ${path} in container ${container}`)
  return new EngineError('internal', `cannot open ${path} in container ${container}: ${code}`)
}

function describe(root: number, path: string, { status, top }: Located): PathStatus {
  const link = (status.mode & fileTypes.S_IFMT) === fileTypes.S_IFLNK
  return {
    name: top,
    size: status.size,
    mode: goFileMode(status.mode),
    mtime: timeText(status.modified),
    linkTarget: link ? resolveLinks(root, posix.normalize(`/${path}`)) : '',
  }
}

/** RFC 3339 with nine digits. */
const timeText = ({ seconds, nanoseconds }: FileTime): string =>
  `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanoseconds).padStart(9, '0')}Z`

/** Links followed before it is a loop, as path_resolution(7) has it. */
const mostLinks = 40

/** The path with its links followed inside the root, as far as it exists. */
function resolveLinks(root: number, path: string): string {
  const left = path.split('/').filter((part) => part !== '')
  let done = '/'
  for (let links = 0; left.length > 0; ) {
    const part = left.shift()!
    const next = posix.join(done, part)
    const target = part === '..' || part === '.' ? undefined : linkAt(root, next)
    if (target === undefined || links === mostLinks) {
      done = next
      continue
    }
    links += 1
    if (target.startsWith('/')) done = '/'
    left.unshift(...target.split('/').filter((piece) => piece !== ''))
  }
  return done
}

function linkAt(root: number, path: string): string | undefined {
  const flags = openFlags.O_PATH | openFlags.O_NOFOLLOW
  const file = tryOpenAt(root, rawName(bytes(path)), { flags, resolve: insideRoot })
  if (file < 0) return undefined
  try {
    const link = (statusOf(file).mode & fileTypes.S_IFMT) === fileTypes.S_IFLNK
    return link ? readLinkAt(file, '').toString() : undefined
  } finally {
    closeSync(file)
  }
}

/** not-found in Docker's words. `container` is what the message calls it. */
export function statPath(root: number, path: string, container: string): PathStatus {
  using found = locate(root, path, container)
  return describe(root, path, found)
}

/**
 * The path as an archive whose top entry is called by the path's last part; `dir/.` means the contents. Takes over the
 * root and closes it when the archive has been read or destroyed, or when this throws.
 */
export function readArchive(root: OpenRoot, path: string, container: string): { stat: PathStatus; archive: Readable } {
  using stack = new DisposableStack()
  stack.use(root)
  const found = stack.use(locate(root.fd, path, container))
  const stat = describe(root.fd, path, found)
  const held = stack.move()
  const archive = Readable.from(paced(piecesOf(found, root.mapOwner)), { objectMode: false })
  archive.once('close', () => held.dispose())
  return { stat, archive }
}

function* piecesOf(found: Located, mapOwner: OpenRoot['mapOwner']): Generator<Buffer> {
  const book: LinkBook = new Map()
  const owned = (one: Found): Found =>
    mapOwner === undefined ? one : { ...one, status: { ...one.status, ...mapOwner(one.status) } }
  yield* tarPieces(owned(found), found.path, book)
  if ((found.status.mode & fileTypes.S_IFMT) === fileTypes.S_IFDIR) {
    const flags = openFlags.O_RDONLY | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW
    const inner = tryOpenAt(found.directory, rawName(found.name), { flags })
    // Gone since it was found: the archive ends with the directory alone.
    if (inner >= 0)
      try {
        const prefix = found.top === '/' ? '' : found.path
        for (const child of walk(inner, prefix))
          yield* tarPieces(owned(child), found.top === '/' ? `/${child.path}` : child.path, book)
      } finally {
        closeSync(inner)
      }
  }
  yield tarEnd
}

/** Everything below an open root as tar; docker export. Takes over the root. */
export function exportArchive(root: OpenRoot): Readable {
  const archive = Readable.from(paced(archiveTree(root.fd)), { objectMode: false })
  archive.once('close', () => root[Symbol.dispose]())
  return archive
}

export type ExtractOptions = {
  /** A directory replaces only a directory, and a file only a file. */
  noOverwriteDirNonDir: boolean
  /** Everything belongs to them, instead of the archive's numbers. */
  owner?: { uid: number; gid: number }
  /** Whom an owner is on the file system. */
  mapOwner?: (owner: { uid: number; gid: number }) => { uid: number; gid: number }
  maxEntries?: number
  signal?: AbortSignal
}

/** As many as a layer may have. */
const defaultEntries = 10_000_000

/**
 * Unpacks (plain, gzip or zstd) below an existing directory of the root, which stays the caller's. not-found; invalid:
 * `extraction point is not a directory`, or an archive that is damaged or leaves the directory by its names.
 */
export async function extractArchive(
  root: number,
  path: string,
  archive: Readable,
  container: string,
  options: ExtractOptions,
): Promise<void> {
  const base = posix.normalize(`/${path}`).replace(/\/+$/, '').slice(1)
  checkDirectory(root, path, container)
  using writer = new TreeWriter(root, {
    layer: false,
    base: bytes(base),
    keepKinds: options.noOverwriteDirNonDir,
    maxEntries: options.maxEntries ?? defaultEntries,
    ...(options.owner !== undefined && { owner: options.owner }),
    ...(options.mapOwner !== undefined && { mapOwner: options.mapOwner }),
  })
  const reader = new TarReader(writer)
  for await (const chunk of decompressed(archive, { signal: options.signal })) reader.write(chunk)
  reader.finish()
  writer.finish()
}

function checkDirectory(root: number, path: string, container: string): void {
  const opened = tryOpenAt(root, rawName(bytes(posix.normalize(`/${path}`))), {
    flags: openFlags.O_PATH,
    resolve: insideRoot,
  })
  if (opened < 0) throw failedLookup(errnoName(-opened), path, container)
  try {
    const status: FileStatus = statusOf(opened)
    if ((status.mode & fileTypes.S_IFMT) !== fileTypes.S_IFDIR)
      throw new EngineError('invalid', 'extraction point is not a directory')
  } finally {
    closeSync(opened)
  }
}
