/**
 * The files of one json-file log: the current one and the rotated ones, `path.1` being the youngest of those. Names move
 * while one looks: a file is known by its inode, which nobody else gets while it is open. Looking is synchronous, so
 * that few rotations fall into it, and repeated when one did.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { LogPosition } from '../shim/shim.ts'

export type LogFile = { fd: number; inode: number }

const nameOf = (path: string, number: number): string => (number === 0 ? path : `${path}.${number}`)

function openFile(path: string): LogFile | undefined {
  try {
    const fd = openSync(path, 'r')
    return { fd, inode: fstatSync(fd).ino }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

export const closeFiles = (files: readonly LogFile[]): void => {
  for (const { fd } of files) closeSync(fd)
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino

/** Where a log ends now that nobody writes to. */
export function presentEnd(path: string): LogPosition | 'nothing' {
  const status = statSync(path, { throwIfNoEntry: false })
  return status === undefined ? 'nothing' : { inode: status.ino, offset: status.size }
}

/** A writer that rotates at every line could move the names for ever. */
const mostLooks = 100

/** Oldest first. */
export function openLogFiles(path: string, maxFile: number): LogFile[] {
  for (let look = 0; ; look += 1) {
    const files: LogFile[] = []
    for (let number = 0; number < maxFile; number += 1) {
      const file = openFile(nameOf(path, number))
      if (file !== undefined) files.unshift(file)
    }
    if (look === mostLooks || inodeOf(path) === files.at(-1)?.inode) return files
    closeFiles(files)
  }
}

/** Whether the file is no longer the one that is written to. Between the writer's rename and its open nobody can tell yet. */
export function isRotated(path: string, file: LogFile): boolean {
  const current = inodeOf(path)
  return current !== undefined && current !== file.inode
}

/** The file written to after `file`; when that was rotated out of existence, the oldest there is. */
export function nextLogFile(path: string, maxFile: number, file: LogFile): LogFile | undefined {
  for (let look = 0; ; look += 1) {
    const place = placeOf(path, maxFile, file.inode)
    if (place === 0) return undefined
    const next = place === undefined ? oldest(path, maxFile) : openFile(nameOf(path, place - 1))
    const settled = placeOf(path, maxFile, file.inode) === place && next?.inode !== file.inode
    if (settled || look === mostLooks) return next
    if (next !== undefined) closeSync(next.fd)
  }
}

function placeOf(path: string, maxFile: number, inode: number): number | undefined {
  for (let number = 0; number < maxFile; number += 1) if (inodeOf(nameOf(path, number)) === inode) return number
  return undefined
}

function oldest(path: string, maxFile: number): LogFile | undefined {
  for (let number = maxFile - 1; number >= 0; number -= 1) {
    const file = openFile(nameOf(path, number))
    if (file !== undefined) return file
  }
  return undefined
}

const step = 65536

/** Where the last whole line ends: the one after it is being written, or was when the machine went down. */
function endOfLines({ fd }: LogFile, size: number): number {
  const buffer = Buffer.allocUnsafe(step)
  for (let end = size, room = 1; end > 0; room = step) {
    const start = Math.max(0, end - room)
    const at = buffer.subarray(0, readSync(fd, buffer, 0, end - start, start)).lastIndexOf(10)
    if (at >= 0) return start + at + 1
    end = start
  }
  return 0
}

/**
 * The offset at which the last `count` lines begin, and how many lines were found from there; read from the end.
 *
 * @param most bytes of the file that count
 */
export function tailOffset(file: LogFile, count: number, most: number): { offset: number; lines: number } {
  const buffer = Buffer.allocUnsafe(step)
  const size = endOfLines(file, Math.min(fstatSync(file.fd).size, most))
  let lines = 0
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - step)
    const length = readSync(file.fd, buffer, 0, end - start, start)
    let from = length - 1
    // The newline at the very end ends the last line; the one before it ends the line before.
    if (end === size && buffer[from] === 10) from -= 1
    for (; from >= 0; from -= 1) {
      from = buffer.lastIndexOf(10, from)
      if (from < 0) break
      lines += 1
      if (lines === count) return { offset: start + from + 1, lines }
    }
    end = start
  }
  return { offset: 0, lines: size > 0 ? lines + 1 : 0 }
}
