/** What a container wrote, compared with what lies below: docker diff, and the layer of docker commit. */
import { closeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import {
  attributeAt,
  type FileStatus,
  fileTypes,
  openDirectory,
  openFlags,
  resolveFlags,
  statusOf,
  tryOpenAt,
} from '../kernel/paths.ffi.ts'
import { rawName } from '../snapshots/tree.ts'
import { openView } from '../snapshots/view.ts'
import { initLayer } from './init-layer.table.ts'
import { type Found, type LinkBook, tarPieces, walk } from './tar-tree.ts'
import { plainEntry, tarEnd, tarHeader } from './tar-writer.ts'

/** As Snapshotter.uppers gives it. */
export type Upper = { readonly target: string; readonly upper: string; readonly lower: readonly string[] }

export type Change = {
  /** Absolute, in the container. */
  path: string
  kind: 'modified' | 'added' | 'deleted'
}

const isDirectory = ({ mode }: FileStatus): boolean => (mode & fileTypes.S_IFMT) === fileTypes.S_IFDIR

/** overlay(5): a character device 0:0 hides the name below. */
const isWhiteout = ({ mode, deviceMajor, deviceMinor }: FileStatus): boolean =>
  (mode & fileTypes.S_IFMT) === fileTypes.S_IFCHR && deviceMajor === 0 && deviceMinor === 0

/**
 * All changes, parents before what is in them, as docker diff lists them: a directory that was only copied up, because
 * something in it was written, is no change. What the engine itself makes in every container is left out.
 */
export function layerChanges(uppers: readonly Upper[]): Change[] {
  const changes: Change[] = []
  for (const upper of uppers) changesOf(upper, changes)
  return withoutInitLayer(changes)
}

function changesOf({ target, upper, lower }: Upper, changes: Change[]): void {
  using stack = new DisposableStack()
  const written = stack.adopt(openDirectory(upper), closeSync)
  const below = lower.length === 0 ? undefined : stack.use(openView([{ target: '/', lower }]))
  const prefix = target === '/' ? '' : target
  const told = new Set<string>([''])
  for (const found of walk(written)) {
    const before = below && statusBelow(below.fd, found.path)
    const kind = kindOf(found, before)
    if (kind === undefined) continue
    const parent = found.path.slice(0, Math.max(found.path.lastIndexOf('/'), 0))
    // The parent of what was added or deleted has changed, even where its time says otherwise.
    if (kind !== 'modified' && !told.has(parent)) {
      changes.push({ path: `${prefix}/${text(parent)}`, kind: 'modified' })
      told.add(parent)
    }
    told.add(found.path)
    changes.push({ path: `${prefix}/${text(found.path)}`, kind })
  }
}

const text = (path: string): string => Buffer.from(path, 'latin1').toString()

function kindOf({ status }: Found, before: FileStatus | undefined): Change['kind'] | undefined {
  if (isWhiteout(status)) return 'deleted'
  if (before === undefined) return 'added'
  const same =
    isDirectory(status) &&
    isDirectory(before) &&
    status.mode === before.mode &&
    status.uid === before.uid &&
    status.gid === before.gid &&
    status.modified.seconds === before.modified.seconds &&
    status.modified.nanoseconds === before.modified.nanoseconds
  return same ? undefined : 'modified'
}

const withoutLinks = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_SYMLINKS

/** The status of a path in the layers below; undefined where it is not, also where a link stood in for its parent. */
function statusBelow(root: number, path: string): FileStatus | undefined {
  const file = tryOpenAt(root, rawName(path), { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW, resolve: withoutLinks })
  if (file < 0) return undefined
  try {
    return statusOf(file)
  } finally {
    closeSync(file)
  }
}

function withoutInitLayer(changes: readonly Change[]): Change[] {
  const kept = changes.filter(({ path, kind }) => kind !== 'added' || !initLayer.has(path))
  // Their directories count only if something else in them changed.
  return kept.filter(
    ({ path, kind }) =>
      kind !== 'modified' ||
      !initLayer.has(`${path}/`) ||
      kept.some((other) => other.path.startsWith(`${path}/`)) ||
      changes.length === kept.length,
  )
}

/**
 * What was written as an image layer (image-spec layer.md): whiteouts become `.wh.` files. Precondition: nothing
 * writes into the snapshot, or the layer shows files half-written.
 */
export function* layerArchive(uppers: readonly Upper[]): Generator<Buffer> {
  const skipped = new Set([...initLayer].filter((path) => !path.endsWith('/')).map((path) => path.slice(1)))
  const book: LinkBook = new Map()
  for (const { target, upper, lower } of uppers) {
    using stack = new DisposableStack()
    const written = stack.adopt(openDirectory(upper), closeSync)
    const below = lower.length === 0 ? undefined : stack.use(openView([{ target: '/', lower }]))
    const prefix = target === '/' ? '' : target.slice(1)
    for (const found of walk(written, '')) {
      if (prefix === '' && skipped.has(found.path) && isOurs(found, below?.fd)) continue
      yield* layerPieces(found, prefix === '' ? found.path : `${prefix}/${found.path}`, book)
    }
  }
  yield tarEnd
}

/** A mount point that the engine made where the image had nothing, and that nobody has filled. */
const isOurs = ({ path, status }: Found, below: number | undefined): boolean =>
  (below === undefined || statusBelow(below, path) === undefined) && (isDirectory(status) || status.size === 0)

function* layerPieces(found: Found, path: string, book: LinkBook): Generator<Buffer> {
  const { status, directory, name } = found
  const slash = path.lastIndexOf('/') + 1
  if (isWhiteout(status)) {
    yield tarHeader({
      ...plainEntry(`${path.slice(0, slash)}.wh.${path.slice(slash)}`, 'file', 0o600),
      modified: status.modified,
    })
    return
  }
  yield* tarPieces(found, path, book)
  if (!isDirectory(status)) return
  if (attributeAt(directory, rawName(name), 'trusted.overlay.redirect') !== undefined)
    throw new EngineError(
      'invalid',
      `cannot make a layer: ${JSON.stringify(text(path))} was renamed with overlayfs' redirect_dir, which layers cannot express`,
    )
  if (attributeAt(directory, rawName(name), 'trusted.overlay.opaque')?.toString() === 'y')
    yield tarHeader({ ...plainEntry(`${path}/.wh..wh..opq`, 'file', 0o600), modified: status.modified })
}
