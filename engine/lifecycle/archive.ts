/** docker cp and docker export; wire facts 106–110. */
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { EngineError, isKind } from '../base/errors.ts'
import {
  exportArchive,
  extractArchive,
  type OpenRoot,
  readArchive as readPath,
  statPath as statOf,
} from '../images/container-archive.ts'
import { openDirectory, openFlags, resolveFlags, tryOpenAt } from '../kernel/paths.ffi.ts'
import { openView, type View, type ViewBind } from '../snapshots/view.ts'
import { hostId, type IdMaps, type Owner, seenInside } from '../spec/id-maps.ts'
import type { Container, MountPoint } from './container.ts'
import type { PathStat } from './containers.ts'
import { announce, type Engine } from './engine.ts'
import { openForAccounts, openFrozen, openRootfs } from './rootfs.ts'
import { hasProcess } from './state-table.ts'
import { lookUpUser } from './user.ts'
import { liveIdMaps } from './user-namespace.ts'

type Place = { root: OpenRoot; path: string; mount: MountPoint | undefined }

const within = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`)

/** The mount that a path lies in, the innermost. */
function mountOf({ mounts }: Container, path: string): MountPoint | undefined {
  const clean = posix.resolve('/', path)
  return mounts
    .filter(({ Destination }) => within(clean, Destination))
    .sort((a, b) => b.Destination.length - a.Destination.length)[0]
}

/**
 * A running container is seen as its processes see it; of a stopped one its snapshot with its volumes in it, so that
 * links lead where they would lead a process. One that never ran may have no place for a volume yet: then a path in
 * the volume is looked for there.
 */
function place(engine: Engine, container: Container, path: string): Place {
  const mount = mountOf(container, path)
  if (hasProcess(container.run.state)) return { root: openRootfs(engine, container), path, mount }
  const nameFile = mount === undefined ? nameFileAt(container, path) : undefined
  if (nameFile !== undefined) return { root: openNames(nameFile), path: `/${posix.basename(nameFile)}`, mount }
  using held = new DisposableStack()
  const root = held.use(openView(engine.snapshotter.mounts(container.id), { binds: bindsOf(container) }))
  if (mount === undefined || !isDirectory(mount.Source) || isThere(root, mount.Destination)) {
    held.move()
    return { root, path, mount }
  }
  return inMount(mount, path)
}

/** Outer ones first, as they are mounted at a start. */
const bindsOf = ({ mounts }: Container): ViewBind[] =>
  mounts
    .filter(({ Type, Source }) => (Type === 'bind' || Type === 'volume') && existsSync(Source))
    .toSorted((a, b) => a.Destination.length - b.Destination.length)
    .map(({ Source, Destination, RW }) => ({ source: Source, target: Destination, readOnly: !RW }))

function isThere(view: View, path: string): boolean {
  const found = tryOpenAt(view.fd, path, { flags: openFlags.O_PATH, resolve: resolveFlags.RESOLVE_IN_ROOT })
  if (found < 0) return false
  closeSync(found)
  return true
}

function inMount(mount: MountPoint, path: string): Place {
  const fd = openDirectory(mount.Source)
  const rest = posix.resolve('/', path).slice(mount.Destination.length)
  const root = { fd, [Symbol.dispose]: () => closeSync(fd) }
  // The trailing slash or dot says what is meant; posix.resolve has taken it off.
  return { root, path: `${rest === '' ? '/' : rest}${/\/\.?$/.exec(path)?.[0] ?? ''}`, mount }
}

/** The files that are bound into a running container: the machine's path of one, where the path means one. */
const nameFileAt = ({ hostsPath, hostnamePath, resolvConfPath }: Container, path: string): string | undefined =>
  new Map([
    ['/etc/hosts', hostsPath],
    ['/etc/hostname', hostnamePath],
    ['/etc/resolv.conf', resolvConfPath],
  ]).get(posix.resolve('/', path))

/** The directory of such a file, which is empty before the first start, as in dockerd. */
function openNames(path: string): OpenRoot {
  closeSync(openSync(path, 'a', 0o644))
  const fd = openDirectory(posix.dirname(path))
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** A path in a volume was looked for under another name than the user's, which the message must not show. */
function named<T>(reference: string, path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error
    throw new EngineError('not-found', `Could not find the file ${path} in container ${reference}`, { cause: error })
  }
}

/** not-found in Docker's words; a link at the end is not followed. */
export async function statPath(engine: Engine, reference: string, path: string): Promise<PathStat> {
  const container = engine.table.get(reference)
  const found = place(engine, container, path)
  using root = found.root
  return named(reference, path, () => statOf(root.fd, found.path, reference))
}

export async function readArchive(
  engine: Engine,
  reference: string,
  path: string,
): Promise<{ stat: PathStat; archive: Readable }> {
  const container = engine.table.get(reference)
  const read = readFrom(engine, container, reference, path)
  announce(engine, container, 'archive-path', { path })
  return read
}

function readFrom(engine: Engine, container: Container, reference: string, path: string) {
  if (posix.resolve('/', path) === '/') return readPath(openFrozen(engine, container), path, reference)
  const found = place(engine, container, path)
  const root = mappedRoot(container, found.root)
  return named(reference, path, () => readPath(root, found.path, reference))
}

export async function exportRoot(engine: Engine, reference: string): Promise<Readable> {
  const container = engine.table.get(reference)
  const archive = exportArchive(openFrozen(engine, container))
  announce(engine, container, 'export')
  return archive
}

export async function writeArchive(
  engine: Engine,
  reference: string,
  path: string,
  archive: Readable,
  options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
): Promise<void> {
  const container = engine.table.get(reference)
  const found = place(engine, container, path)
  using root = found.root
  if (found.mount?.RW === false) throw new EngineError('invalid', 'mounted volume is marked read-only')
  if (found.mount === undefined && container.hostConfig.ReadonlyRootfs === true)
    throw new EngineError('invalid', 'container rootfs is marked read-only')
  await extractArchive(root.fd, found.path, archive, reference, {
    noOverwriteDirNonDir: options.noOverwriteDirNonDir,
    ...(options.copyUidGid ? { owner: ownerOf(engine, container) } : {}),
    ...ownersOnMachine(container),
  })
  announce(engine, container, 'extract-to-dir', { path })
}

/** Of a running container the owners are seen as the machine has them; everywhere else as the container does. */
const liveMaps = ({ run }: Container): IdMaps | undefined =>
  hasProcess(run.state) && run.pid > 0 ? liveIdMaps(run.pid) : undefined

function mappedRoot(container: Container, root: OpenRoot): OpenRoot {
  const maps = liveMaps(container)
  if (maps === undefined) return root
  return { fd: root.fd, mapOwner: (owner) => seenInside(maps, owner), [Symbol.dispose]: () => root[Symbol.dispose]() }
}

function ownersOnMachine(container: Container): { mapOwner?: (owner: Owner) => Owner } {
  const maps = liveMaps(container)
  if (maps === undefined) return {}
  const mapOwner = ({ uid, gid }: Owner): Owner => {
    const owner = { uid: hostId(maps.uids, uid), gid: hostId(maps.gids, gid) }
    if (owner.uid === undefined || owner.gid === undefined)
      throw new EngineError('invalid', `${uid}:${gid} is nobody in the container's user namespace`)
    return owner as Owner
  }
  return { mapOwner }
}

function ownerOf(engine: Engine, container: Container): { uid: number; gid: number } {
  using root = openForAccounts(engine, container)
  const { uid, gid } = lookUpUser(root.fd, container.config.User ?? '', [])
  return { uid, gid }
}
