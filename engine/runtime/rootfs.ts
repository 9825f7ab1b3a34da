/**
 * The container's file system: overlay root, the mounts of config.json, devices, pivot_root(2). Runs in the child, in
 * its own mount namespace, with the host's tree still in view until `enterRoot`. Every path below the root is resolved
 * by openat2(2) inside it, and mounted on through its descriptor.
 */
import { closeSync, constants, openSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, normalize, resolve } from 'node:path'
import {
  attachMount,
  changeDirectory,
  changeRoot,
  cloneTree,
  detachCurrent,
  mount,
  mountFlags as ms,
  pivotRoot,
  setMountAttributes,
  unmount,
} from '../kernel/mount.ffi.ts'
import { openAt, openFlags, openPath } from '../kernel/paths.ffi.ts'
import type { OciMount, OciNamespaceType } from '../spec/oci.ts'
import { type BindSource, changeExisting, mountBind } from './bind.ts'
import { enterByChroot, mountPoints, ownsTree, refuseChangingSharedTree } from './borrowed-tree.ts'
import { mountCgroups } from './cgroup-mount.ts'
import { makeDevices } from './devices.ts'
import { mountFileSystem } from './file-system-mount.ts'
import { ensureDirectory, ensureFile, procPath } from './in-root.ts'
import { propagationOptions } from './mount-options.table.ts'
import { absoluteMount, inPlace, isBind, mapsOwners, planMount } from './mount-options.ts'
import { hasNamespace } from './namespaces.ts'
import { asRoot, inUserNamespace, mountOverlay } from './overlay.ts'
import type { CreateRequest, RootMount } from './request.ts'

/** Mounts everything below root.path; returns a descriptor of the root directory. */
export function makeRoot(request: CreateRequest, created: ReadonlySet<OciNamespaceType>): number {
  const { spec, bundle } = request
  const path = resolve(bundle, spec.root.path)
  const how = hasNamespace(spec, 'user') ? inUserNamespace : asRoot
  if (created.has('mount')) isolateTree(spec.linux?.rootfsPropagation, path)
  else refuseChangingSharedTree(spec, path, request.rootMounts.length)
  const root =
    request.mappedRoot === undefined ? openRoot(request.rootMounts, path, how, created) : attachRoot(request.mappedRoot)
  for (const [index, entry] of (spec.mounts ?? []).entries())
    inPlace(index, entry, () => mountEntry(root, entry, request, index))
  const cwd = spec.process?.cwd ?? '/'
  if (cwd !== '/') closeSync(ensureDirectory(root, cwd, 0o755))
  makeDevices(root, spec)
  for (const [index, entry] of (spec.mounts ?? []).entries())
    if (staysWritable(entry)) inPlace(index, entry, () => changeExisting(root, entry, planMount(entry.options ?? [])))
  return root
}

/** /dev is made read-only when everything is in it. */
function staysWritable(entry: OciMount): boolean {
  const plan = planMount(entry.options ?? [])
  return normalize(entry.destination) === '/dev' && (plan.flags & ms.MS_RDONLY) !== 0 && !isBind(entry, plan)
}

/**
 * Nothing done here may reach the host; what the host mounts later may still arrive (slave), as with runc. A root to be
 * shared keeps the host's peer groups, so that a `shared` bind can pass mounts on; only the mount that holds the root
 * is cut off, since what is bound out of it would be its peer.
 */
function isolateTree(name: string | undefined, path: string): void {
  const wanted = propagationOptions[name === undefined || name === '' ? 'rslave' : name]!
  // Of what is unbindable nothing could be bound: it is made so when it is the root.
  const meanwhile = (wanted & ms.MS_UNBINDABLE) === 0 ? wanted : ms.MS_PRIVATE
  if ((wanted & ms.MS_SHARED) === 0) mount({ target: '/', flags: meanwhile | ms.MS_REC })
  else mount({ target: holderOf(realpathSync(path)), flags: ms.MS_PRIVATE })
}

function holderOf(path: string): string {
  const points = new Set(mountPoints(readFileSync('/proc/self/mountinfo', 'utf8')))
  let holder = path
  while (!points.has(holder)) holder = dirname(holder)
  return holder
}

function openRoot(
  [first, ...parts]: readonly RootMount[],
  path: string,
  how: string,
  created: ReadonlySet<OciNamespaceType>,
): number {
  if (first !== undefined) mountOverlay(first, path, how)
  else if (created.has('mount')) mount({ source: path, target: path, flags: ms.MS_BIND | ms.MS_REC })
  const root = openSync(path, constants.O_DIRECTORY)
  for (const part of parts) mountPart(root, part, how)
  return root
}

/**
 * On top of `/`, which every user may pass, and root.path need not be. Paths still begin below it: the mount is reached
 * through its descriptor, until `enterRoot` makes it the root.
 */
function attachRoot(mappedRoot: number): number {
  const place = openPath('/')
  attachMount(mappedRoot, place)
  closeSync(place)
  return openAt(mappedRoot, '.', { flags: openFlags.O_RDONLY | openFlags.O_DIRECTORY })
}

function mountPart(root: number, part: RootMount, how: string): void {
  const target = ensureDirectory(root, part.target, 0o755)
  mountOverlay(part, procPath(target), how)
  closeSync(target)
}

function bindSourceOf({ spec, sources, mapOwners }: CreateRequest, entry: OciMount, index: number): BindSource {
  const made = sources?.get(index)
  const mapped = mapsOwners(entry, planMount(entry.options ?? []))
  return {
    // The kernel itself locks the flags of what the child copies.
    locked: made !== undefined && hasNamespace(spec, 'user'),
    ...(made === undefined ? {} : { made }),
    ...(mapped ? { mapOwners: (copy) => mapOwners?.(index, copy) } : {}),
  }
}

function mountEntry(root: number, listed: OciMount, request: CreateRequest, index: number): void {
  const entry = absoluteMount(listed, request.bundle)
  const plan = planMount(entry.options ?? [])
  if (isBind(entry, plan)) {
    if ((plan.flags & ms.MS_REMOUNT) !== 0) changeExisting(root, entry, plan)
    else mountBind(root, entry, plan, bindSourceOf(request, entry, index))
  } else if (entry.type === 'cgroup' || (entry.type === 'cgroup2' && request.cgroup.version === 2))
    mountCgroups(root, entry.destination, plan, request)
  else {
    const made = entry.type === 'proc' ? request.procMount : undefined
    mountFileSystem(root, entry, staysWritable(entry) ? { ...plan, flags: plan.flags & ~ms.MS_RDONLY } : plan, made)
  }
}

/** The container's tree becomes `/`, and the host's is gone from view. */
export function enterRoot(request: CreateRequest, root: number): void {
  if (!ownsTree(request.spec)) {
    enterByChroot(root)
    process.chdir('/')
    return
  }
  process.chdir(procPath(root))
  closeSync(root)
  if (request.noPivot === true) moveRoot()
  else swapRoots()
  process.chdir('/')
  const wanted = request.spec.linux?.rootfsPropagation
  if (wanted !== undefined && wanted !== '') mount({ target: '/', flags: propagationOptions[wanted]! })
  if (request.spec.root.readonly === true) makeReadOnly('/')
}

/** The old root lies on top of the new one, and goes from there. */
function swapRoots(): void {
  const old = openSync('/', constants.O_DIRECTORY)
  pivotRoot('.', '.')
  // "." would be the new root still, and only the old one must be cut off, lest its going reach the host.
  changeDirectory(old)
  closeSync(old)
  mount({ target: '.', flags: ms.MS_SLAVE | ms.MS_REC })
  detachCurrent()
}

/**
 * The root covers the old one, which stays below: where pivot_root(2) is refused (the machine's root is its initramfs).
 * The host's /proc and /sys go first: whoever climbs out of the root must not find them without their covers.
 */
function moveRoot(): void {
  const here = process.cwd()
  for (const path of hostKernelMounts(readFileSync('/proc/self/mountinfo', 'utf8'), here)) unmount(path, { lazy: true })
  mount({ source: here, target: '/', flags: ms.MS_MOVE })
  changeRoot('.')
}

/** Deepest first; those inside of the new root are the container's own. Octal escapes: proc_pid_mountinfo(5). */
function hostKernelMounts(mountinfo: string, root: string): string[] {
  const paths: string[] = []
  for (const line of mountinfo.split('\n')) {
    const [, type] = / - (\S+)/.exec(line) ?? []
    const path = (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    if ((type === 'proc' || type === 'sysfs') && path !== root && !path.startsWith(`${root}/`)) paths.push(path)
  }
  return paths.toReversed()
}

/** Only this mount: what is mounted below stays as it is. */
function makeReadOnly(path: string): void {
  const directory = openSync(path, constants.O_DIRECTORY)
  try {
    setMountAttributes(directory, { set: 1 })
  } finally {
    closeSync(directory)
  }
}

/**
 * /dev/console shows the terminal; the caller is inside of the root. A link there would put it over anything else, and
 * what the set-up writes later into it (CVE-2025-52565).
 */
export function bindConsole(slave: number): void {
  const root = openSync('/', constants.O_DIRECTORY)
  const target = ensureFile(root, '/dev/console', { followLinks: false })
  const copy = cloneTree('', { directory: slave })
  attachMount(copy, target)
  for (const fd of [root, target, copy]) closeSync(fd)
}
