/**
 * Work on whole directory trees that a container may have filled: by descriptor, one name at a time, links never
 * followed, with a constant number of open files however deep the tree is. Each is a generator that may be left at any
 * `yield`, so that one thread can do it in slices.
 */
import { closeSync, readdirSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isErrno } from '../kernel/libc.ffi.ts'
import { fileTypes, openAt, openFlags, renameAt, statusAt, tryUnlinkAt, unlinkAt } from '../kernel/paths.ffi.ts'

/** A file name as latin1 text, one character per byte: names need not be UTF-8. */
export type ByteName = string

/** The names in an open directory. */
export const namesIn = (directory: number): ByteName[] => readdirSync(`/proc/self/fd/${directory}`, 'latin1')

const unusual = /[^ -~]/

/** What the kernel takes for a byte name: the text itself where it is printable ASCII, else its bytes with a NUL. */
export const rawName = (name: ByteName): string | Buffer =>
  unusual.test(name) ? Buffer.from(`${name}\0`, 'latin1') : name

const openChild = (directory: number, name: ByteName): number =>
  openAt(directory, rawName(name), {
    flags: openFlags.O_RDONLY | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW,
  })

/** Removes the name if that takes one call; false for a directory with something in it. */
function removeSimple(directory: number, name: ByteName): boolean {
  if (tryUnlinkAt(directory, rawName(name)) >= 0) return true
  try {
    unlinkAt(directory, rawName(name), 'directory')
    return true
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    if (isErrno(error, 'ENOTDIR')) {
      // A file that could not be unlinked: say why.
      unlinkAt(directory, rawName(name))
      return true
    }
    throw error
  }
}

let moved = 0

/** Empties `child` of `directory` by moving its own directories up beside it, where the caller's loop meets them. */
function* flatten(directory: number, child: ByteName): Generator<void> {
  const inner = openChild(directory, child)
  try {
    for (const name of namesIn(inner)) {
      yield
      if (removeSimple(inner, name)) continue
      moved += 1
      try {
        renameAt(inner, rawName(name), directory, `.drydock-${process.pid}-${moved}`, { keep: true })
      } catch (error) {
        // overlayfs does not rename directories of a lower layer: there the depth costs open files.
        if (!isErrno(error, 'EXDEV')) throw error
        yield* emptyDirectory(inner)
      }
    }
  } finally {
    closeSync(inner)
  }
}

/** Removes everything in an open directory; what vanishes meanwhile is fine. */
export function* emptyDirectory(directory: number): Generator<void> {
  for (;;) {
    const names = namesIn(directory)
    if (names.length === 0) return
    for (const name of names) {
      yield
      if (removeSimple(directory, name)) continue
      yield* flatten(directory, name)
      removeSimple(directory, name)
    }
  }
}

/** Removes the name, whatever it is. At once, without slices. */
export function removeTreeAt(directory: number, name: ByteName): void {
  if (removeSimple(directory, name)) return
  const inner = openChild(directory, name)
  try {
    for (const _step of emptyDirectory(inner));
  } finally {
    closeSync(inner)
  }
  unlinkAt(directory, rawName(name), 'directory')
}

export type TreeUsage = { bytes: number; inodes: number }

/** Directories nested deeper have no path that a program could name: PATH_MAX is 4096. */
const deepest = 2048

/** Adds up the bytes of the files (hard links once) and the inodes below and including an open directory. */
export function* measure(directory: number, sum: TreeUsage, seen: Set<bigint> = new Set(), depth = 0): Generator<void> {
  sum.inodes += 1
  if (depth === deepest) return
  for (const name of namesIn(directory)) {
    yield
    const status = statusAt(directory, rawName(name))
    if (status === undefined) continue
    if ((status.mode & fileTypes.S_IFMT) === fileTypes.S_IFDIR) {
      const inner = openChild(directory, name)
      try {
        yield* measure(inner, sum, seen, depth + 1)
      } finally {
        closeSync(inner)
      }
      continue
    }
    if (status.links > 1 && seen.has(status.inode)) continue
    if (status.links > 1) seen.add(status.inode)
    sum.inodes += 1
    sum.bytes += status.size
  }
}

/** Milliseconds that one slice may take from everything else in the process. */
const sliceLength = 10

/** Runs the work to its end, letting other events in between slices. */
export async function inSlices(work: Generator<void>): Promise<void> {
  let start = performance.now()
  for (const _step of work) {
    if (performance.now() - start < sliceLength) continue
    await setImmediate()
    start = performance.now()
  }
}
