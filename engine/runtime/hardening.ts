/**
 * Masked and read-only paths. Runs inside the container's root; each path is opened once, and what is mounted on is
 * that descriptor, so that a link swapped in meanwhile changes nothing.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { errnoNumbers } from '../kernel/errno.table.ts'
import {
  attachMount,
  cloneTree,
  fsConfig,
  fsMount,
  fsOpen,
  mountAttributes,
  setMountAttributes,
} from '../kernel/mount.ffi.ts'
import { fileTypes, openFlags, resolveFlags, statusOf, tryOpenAt } from '../kernel/paths.ffi.ts'
import { isDirectory } from './in-root.ts'

/** undefined where there is nothing: the lists name what some kernels have. A link is refused: it may point at anything. */
function openListed(root: number, path: string): number | undefined {
  const fd = tryOpenAt(root, path, {
    flags: openFlags.O_PATH,
    resolve: resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS,
  })
  if (fd >= 0) return fd
  if (fd === -errnoNumbers.ENOENT || fd === -errnoNumbers.ENOTDIR || fd === -errnoNumbers.EACCES) return undefined
  throw new EngineError('internal', `cannot open ${JSON.stringify(path)} to protect it: errno ${-fd}`)
}

const inRoot = (work: (root: number) => void): void => {
  const root = openSync('/', constants.O_DIRECTORY)
  try {
    work(root)
  } finally {
    closeSync(root)
  }
}

/** linux.readonlyPaths: each gets a read-only mount of itself. */
export function protectPaths(paths: readonly string[]): void {
  inRoot((root) => {
    for (const path of paths) {
      const target = openListed(root, path)
      if (target === undefined) continue
      const copy = cloneTree('', { directory: target, recursive: true })
      setMountAttributes(copy, { set: mountAttributes.MOUNT_ATTR_RDONLY, recursive: true })
      attachMount(copy, target)
      closeSync(copy)
      closeSync(target)
    }
  })
}

/** linux.maskedPaths: a file shows nothing (the null device), a directory is empty. */
export function maskPaths(paths: readonly string[]): void {
  if (paths.length === 0) return
  inRoot((root) => {
    using cleanup = new DisposableStack()
    const nothing = cleanup.adopt(openNullDevice(root), closeSync)
    let empty: number | undefined
    for (const path of paths) {
      const target = openListed(root, path)
      if (target === undefined) continue
      if (isDirectory(target)) {
        // Copies are made of the one that is attached: before Linux 6.15 there are none of a mount that is not.
        if (empty !== undefined) mountCopy(empty, target)
        else {
          empty = cleanup.adopt(emptyDirectory(), closeSync)
          attachMount(empty, target)
        }
      } else mountCopy(nothing, target)
      closeSync(target)
    }
  })
}

function mountCopy(source: number, target: number): void {
  const copy = cloneTree('', { directory: source })
  setMountAttributes(copy, { set: mountAttributes.MOUNT_ATTR_RDONLY })
  attachMount(copy, target)
  closeSync(copy)
}

/** The container's own /dev/null, made sure to be the null device: an image may have put something else there. */
function openNullDevice(root: number): number {
  const fd = openListed(root, '/dev/null')
  if (fd !== undefined) {
    const { mode, deviceMajor, deviceMinor } = statusOf(fd)
    if ((mode & fileTypes.S_IFMT) === fileTypes.S_IFCHR && deviceMajor === 1 && deviceMinor === 3) return fd
    closeSync(fd)
  }
  throw new EngineError('forbidden', "linux.maskedPaths: the container's /dev/null is not the null device")
}

function emptyDirectory(): number {
  const context = fsOpen('tmpfs')
  try {
    fsConfig(context, 'size', '0')
    fsConfig(context, 'mode', '0555')
    return fsMount(
      context,
      mountAttributes.MOUNT_ATTR_RDONLY |
        mountAttributes.MOUNT_ATTR_NOSUID |
        mountAttributes.MOUNT_ATTR_NODEV |
        mountAttributes.MOUNT_ATTR_NOEXEC,
    )
  } finally {
    closeSync(context)
  }
}
