/**
 * A snapshot seen as a file system without mounting it anywhere: an overlay mount that has no place in any mount
 * namespace, held by a descriptor and gone with it, also when the process is killed.
 */
import { closeSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../kernel/libc.ffi.ts'
import {
  attachMount,
  cloneTree,
  fsConfig,
  fsMount,
  fsOpen,
  mount,
  mountAttributes,
  mountFlags,
  setMountAttributes,
  unmount,
} from '../kernel/mount.ffi.ts'
import { openAt, openDirectory, openFlags, resolveFlags, tryOpenAt } from '../kernel/paths.ffi.ts'
import type { OverlayMount } from './snapshotter.ts'

export class View implements Disposable {
  /** The root directory. Resolve every path below it with RESOLVE_IN_ROOT: the links in it are the container's. */
  readonly fd: number

  constructor(fd: number) {
    this.fd = fd
  }

  /** openat2(2) inside the root, links followed inside the root. `flags` of `openFlags`. */
  open(path: string, flags: number): number {
    return openAt(this.fd, path, { flags, resolve: insideRoot })
  }

  [Symbol.dispose](): void {
    closeSync(this.fd)
  }
}

/** The same trees without a place to write: safe to look at while a container has the snapshot mounted. */
export const readOnly = (mounts: readonly OverlayMount[]): OverlayMount[] =>
  mounts.map(({ target, lower, upper }) => ({ target, lower: upper === undefined ? lower : [upper, ...lower] }))

const insideRoot = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS

/** Nothing in a view is executed or opened as a device. */
const attributes =
  mountAttributes.MOUNT_ATTR_NOSUID | mountAttributes.MOUNT_ATTR_NODEV | mountAttributes.MOUNT_ATTR_NOEXEC

/** A directory or file of the machine that is to be seen in a view, with what is mounted below it. */
export type ViewBind = { readonly source: string; readonly target: string; readonly readOnly: boolean }

export type ViewOptions = {
  /** Outer ones first. One whose target is not there is left out. */
  binds?: readonly ViewBind[]
  /** Where kernels before 6.15 need a name for a moment. */
  scratch?: string
}

/**
 * Mounts the parts, `/` first, the others on their targets inside it. With an upper directory the view can be written;
 * nobody else may have the snapshot mounted then.
 */
export function openView(mounts: readonly OverlayMount[], { binds = [], scratch = '/run' }: ViewOptions = {}): View {
  try {
    return openDetached(mounts, binds)
  } catch (error) {
    // Without `lowerdir+` (Linux 6.5), or without mounts on detached mounts (6.15).
    if (!isErrno(error, 'EINVAL', 'ENOSYS')) throw error
    return openThroughName(mounts, scratch, binds)
  }
}

/** Of descriptors alone. */
export function openDetached(mounts: readonly OverlayMount[], binds: readonly ViewBind[] = []): View {
  using stack = new DisposableStack()
  const [first, ...parts] = mounts
  const root = stack.adopt(overlay(first!), closeSync)
  for (const part of parts) {
    using held = new DisposableStack()
    const mounted = held.adopt(overlay(part), closeSync)
    const target = held.adopt(openAt(root, part.target, { flags: targetFlags, resolve: insideRoot }), closeSync)
    attachMount(mounted, target)
  }
  for (const bind of binds) attachBind(root, bind)
  stack.move()
  return new View(root)
}

function attachBind(root: number, { source, target, readOnly: closed }: ViewBind): void {
  const at = tryOpenAt(root, target, { flags: openFlags.O_PATH, resolve: insideRoot })
  if (at < 0) return
  using held = new DisposableStack()
  held.adopt(at, closeSync)
  const tree = held.adopt(cloneTree(source, { recursive: true }), closeSync)
  setMountAttributes(tree, {
    set: attributes | (closed ? mountAttributes.MOUNT_ATTR_RDONLY : 0),
    recursive: true,
    propagation: mountFlags.MS_PRIVATE,
  })
  attachMount(tree, at)
}

const targetFlags = openFlags.O_PATH | openFlags.O_DIRECTORY

/** A detached mount of one part. */
function overlay({ lower, upper, work }: OverlayMount): number {
  if (upper === undefined && lower.length === 1) return plain(lower[0]!)
  const context = fsOpen('overlay')
  try {
    for (const directory of lower) fsConfig(context, 'lowerdir+', directory)
    if (upper === undefined || work === undefined)
      return fsMount(context, attributes | mountAttributes.MOUNT_ATTR_RDONLY)
    // What is renamed must stay readable as a layer, whatever the module's defaults are.
    fsConfig(context, 'redirect_dir', 'off')
    fsConfig(context, 'metacopy', 'off')
    fsConfig(context, 'upperdir', upper)
    fsConfig(context, 'workdir', work)
    return fsMount(context, attributes)
  } finally {
    closeSync(context)
  }
}

/** A single layer needs no overlay, and overlay(5) refuses it. */
function plain(directory: string): number {
  const copy = cloneTree(directory)
  setMountAttributes(copy, { set: attributes | mountAttributes.MOUNT_ATTR_RDONLY })
  return copy
}

/**
 * On a directory of its own in `scratch`, copied to a detached tree and taken away at once: no other code of this
 * process runs in between. What a kill leaves there is gone with the next start of the machine.
 */
export function openThroughName(
  mounts: readonly OverlayMount[],
  scratch: string,
  binds: readonly ViewBind[] = [],
): View {
  using stack = new DisposableStack()
  mkdirSync(scratch, { recursive: true })
  const place = stack.adopt(mkdtempSync(join(scratch, 'view-')), rmdirSync)
  // Private, so that the mounts below do not spread into other namespaces.
  mount({ source: place, target: place, flags: mountFlags.MS_BIND })
  stack.defer(() => unmount(place, { lazy: true }))
  mount({ target: place, flags: mountFlags.MS_PRIVATE })
  for (const part of mounts) {
    mountOverlay(part, place)
    // The parts inside go with the root.
    if (part.target === '/') stack.defer(() => unmount(place, { lazy: true }))
  }
  if (binds.length > 0) {
    const root = stack.adopt(openDirectory(place), closeSync)
    for (const bind of binds) attachBind(root, bind)
  }
  return new View(cloneTree(place, { recursive: true }))
}

function mountOverlay({ target, lower, upper, work }: OverlayMount, place: string): void {
  using stack = new DisposableStack()
  const root = stack.adopt(openDirectory(place), closeSync)
  const at = stack.adopt(openAt(root, target, { flags: targetFlags, resolve: insideRoot }), closeSync)
  const writable = upper !== undefined && work !== undefined
  const data = [`lowerdir=${lower.map(escaped).join(':')}`]
  if (writable) data.push('redirect_dir=off', 'metacopy=off', `upperdir=${escaped(upper)}`, `workdir=${escaped(work)}`)
  const { MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_RDONLY } = mountFlags
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (writable ? 0 : MS_RDONLY)
  mount({ source: 'overlay', target: `/proc/self/fd/${at}`, type: 'overlay', flags, data: data.join(',') })
}

const escaped = (path: string): string => path.replace(/[\\:,]/g, '\\$&')
