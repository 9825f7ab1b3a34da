/** /dev of a container: the default nodes and links (runtime-spec config-linux.md, "Default Devices"), and the asked ones. */
import { closeSync, existsSync, readFileSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { EngineError, messageOf } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { attachMount, cloneTree } from '../kernel/mount.ffi.ts'
import {
  changeModeOfPath,
  changeOwnerAt,
  fileTypes,
  makeNodeAt,
  openAt,
  openFlags,
  statusAt,
  symlinkAt,
  unlinkAt,
} from '../kernel/paths.ffi.ts'
import type { OciDevice, OciMount, OciSpec } from '../spec/oci.ts'
import { ensureDirectory, ensureFile } from './in-root.ts'

const defaults: readonly OciDevice[] = [
  { type: 'c', path: '/dev/null', major: 1, minor: 3 },
  { type: 'c', path: '/dev/zero', major: 1, minor: 5 },
  { type: 'c', path: '/dev/full', major: 1, minor: 7 },
  { type: 'c', path: '/dev/random', major: 1, minor: 8 },
  { type: 'c', path: '/dev/urandom', major: 1, minor: 9 },
  { type: 'c', path: '/dev/tty', major: 5, minor: 0 },
]

const links: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
]

const typeBits = { c: fileTypes.S_IFCHR, u: fileTypes.S_IFCHR, b: fileTypes.S_IFBLK, p: fileTypes.S_IFIFO } as const

/** A /dev that is bound from elsewhere is left as it is. */
const isBound = (mounts: readonly OciMount[]): boolean =>
  mounts.some(
    ({ destination, type, options }) =>
      posix.normalize(`/${destination}/`) === '/dev/' &&
      (type === 'bind' || options?.includes('bind') === true || options?.includes('rbind') === true),
  )

export function makeDevices(root: number, spec: OciSpec): void {
  // A container's terminals come from its own devpts: whoever asks for the machine's /dev/ptmx gets that one's.
  const asked = (spec.linux?.devices ?? []).filter(({ path }) => posix.normalize(path) !== '/dev/ptmx')
  const bound = isBound(spec.mounts ?? [])
  if (!bound) makeDefaults(root, new Set(asked.map(({ path }) => path)), spec.process?.terminal === true)
  for (const device of asked) makeDevice(root, device, bound && posix.normalize(device.path).startsWith('/dev/'))
}

function makeDefaults(root: number, asked: ReadonlySet<string>, terminal: boolean): void {
  const dev = ensureDirectory(root, '/dev', 0o755)
  try {
    for (const [name, target] of links) makeLink(dev, name, target)
    if (existsSync('/proc/kcore')) makeLink(dev, 'core', '/proc/kcore')
    if (terminal) closeSync(ensureFile(root, '/dev/console'))
  } finally {
    closeSync(dev)
  }
  for (const device of defaults.filter(({ path }) => !asked.has(path))) makeDevice(root, device, false)
}

/** An image may bring its own; only ptmx must be that of the container's devpts. */
function makeLink(dev: number, name: string, target: string): void {
  if (name === 'ptmx') unlinkAt(dev, name)
  try {
    symlinkAt(target, dev, name)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  }
}

/** @param readyMade nothing may be made or changed there: it must be what was asked for already */
function makeDevice(root: number, device: OciDevice, readyMade: boolean): void {
  using cleanup = new DisposableStack()
  try {
    const directory = cleanup.adopt(ensureDirectory(root, posix.dirname(device.path), 0o755), closeSync)
    const name = posix.basename(device.path)
    if (!checkReadyMade(directory, name, device)) {
      if (readyMade) throw new Error('nothing may be made in a /dev that is bound')
      makeNodeAt(directory, name, typeBits[device.type], device.major ?? 0, device.minor ?? 0)
    }
    if (!readyMade) giveAway(directory, name, device)
  } catch (error) {
    // In a user namespace nobody makes device nodes: the host's own is bound, and its rights are the host's.
    if (isErrno(error, 'EPERM') && device.type !== 'p') bindHostDevice(root, device)
    else
      throw new EngineError('invalid', `linux.devices: cannot make ${device.path}: ${messageOf(error)}`, {
        cause: error,
      })
  }
}

/** Whether it is there; throws where something else is, as config-linux.md "Devices" demands. */
function checkReadyMade(directory: number, name: string, device: OciDevice): boolean {
  const known = statusAt(directory, name)
  if (known === undefined) return false
  const { mode, deviceMajor, deviceMinor } = known
  const same =
    (mode & fileTypes.S_IFMT) === typeBits[device.type] &&
    (device.type === 'p' || (deviceMajor === device.major && deviceMinor === device.minor))
  if (!same) throw new Error('something else is there')
  return true
}

function giveAway(directory: number, name: string, { fileMode, uid, gid }: OciDevice): void {
  const node = openAt(directory, name, { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW })
  try {
    changeOwnerAt(directory, name, uid ?? 0, gid ?? 0)
    changeModeOfPath(node, (fileMode ?? 0o666) & 0o7777)
  } finally {
    closeSync(node)
  }
}

function bindHostDevice(root: number, device: OciDevice): void {
  using cleanup = new DisposableStack()
  const copy = cleanup.adopt(cloneTree(hostPathOf(device)), closeSync)
  attachMount(copy, cleanup.adopt(ensureFile(root, device.path), closeSync))
}

/** Mostly it has the same path; else sysfs knows its name, from the numbers. */
function hostPathOf({ type, path, major, minor }: OciDevice): string {
  const rdev = statSync(path, { throwIfNoEntry: false })?.rdev ?? 0
  // gnu_dev_major(3), for the numbers that Linux gives: 12 bits and 20 bits.
  if (((rdev >> 8) & 0xfff) === major && ((rdev & 0xff) | ((rdev >> 12) & 0xfff00)) === minor) return path
  const kind = type === 'b' ? 'block' : 'char'
  const event = readFileSync(`/sys/dev/${kind}/${major}:${minor}/uevent`, 'utf8')
  return `/dev/${/^DEVNAME=(.+)$/m.exec(event)![1]}`
}
