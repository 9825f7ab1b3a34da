/** /dev of a container: the default nodes and links (runtime-spec config-linux.md, "Default Devices"), and the asked ones. */
import { closeSync, symlinkSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { attachMount, cloneTree } from '../kernel/mount.ffi.ts'
import {
  changeModeOfPath,
  changeOwnerAt,
  fileTypes,
  makeNodeAt,
  openAt,
  openFlags,
  unlinkAt,
} from '../kernel/paths.ffi.ts'
import type { OciDevice, OciMount } from '../spec/oci.ts'
import { ensureDirectory, ensureFile, openDirectory, procPath } from './in-root.ts'

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

/** Not where the user bound a /dev of their own: that one is left as it is. */
export const needsDevices = (mounts: readonly OciMount[]): boolean =>
  mounts.some(({ destination, type }) => destination === '/dev' && type === 'tmpfs')

export function makeDevices(root: number, asked: readonly OciDevice[], terminal: boolean): void {
  const dev = openDirectory(root, '/dev')
  try {
    for (const [name, target] of links) symlinkSync(target, `${procPath(dev)}/${name}`)
    const paths = new Set(asked.map(({ path }) => path))
    for (const device of [...defaults.filter(({ path }) => !paths.has(path)), ...asked]) makeDevice(root, device)
    if (terminal) closeSync(ensureFile(root, '/dev/console'))
  } finally {
    closeSync(dev)
  }
}

function makeDevice(root: number, device: OciDevice): void {
  const directory = ensureDirectory(root, dirname(device.path), 0o755)
  const name = basename(device.path)
  try {
    unlinkAt(directory, name)
    makeNodeAt(directory, name, typeBits[device.type], device.major ?? 0, device.minor ?? 0)
    const node = openAt(directory, name, { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW })
    changeModeOfPath(node, device.fileMode ?? 0o666)
    closeSync(node)
    changeOwnerAt(directory, name, device.uid ?? 0, device.gid ?? 0)
  } catch (error) {
    // In a user namespace nobody makes device nodes: the host's own is bound, and its rights are the host's.
    if (isErrno(error, 'EPERM') && device.type !== 'p') bindHostDevice(root, device.path)
    else
      throw new EngineError(
        'invalid',
        `linux.devices: cannot make ${device.path}: ${error instanceof Error ? error.message : error}`,
        { cause: error },
      )
  } finally {
    closeSync(directory)
  }
}

function bindHostDevice(root: number, path: string): void {
  const copy = cloneTree(path)
  const target = ensureFile(root, path)
  try {
    attachMount(copy, target)
  } finally {
    closeSync(copy)
    closeSync(target)
  }
}
