/** The files of one json-file log: the current one and the rotated ones, `path.1` being the youngest of those. */
import { type FileHandle, open, stat } from 'node:fs/promises'
import { isErrno } from '../kernel/libc.ffi.ts'

export type LogFile = { handle: FileHandle; inode: number }

const nameOf = (path: string, number: number): string => (number === 0 ? path : `${path}.${number}`)

async function openFile(path: string): Promise<LogFile | undefined> {
  try {
    const handle = await open(path, 'r')
    return { handle, inode: (await handle.stat()).ino }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Oldest first. Opened youngest first: a rotation meanwhile then shows a file twice, which is noticed, and never hides one.
 */
export async function openLogFiles(path: string, maxFile: number): Promise<LogFile[]> {
  const files: LogFile[] = []
  for (let number = 0; number < maxFile; number += 1) {
    const file = await openFile(nameOf(path, number))
    if (file === undefined) continue
    if (files.some(({ inode }) => inode === file.inode)) await file.handle.close()
    else files.unshift(file)
  }
  return files
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Whether the file is no longer the one that is written to. */
export const isRotated = async (path: string, file: LogFile): Promise<boolean> => {
  const current = await inodeOf(path)
  // Between the writer's rename and its open there is no file of that name: the answer comes with the next look.
  return current !== undefined && current !== file.inode
}

/** The file written to after `file`; when that was rotated out of existence, the oldest there is. */
export async function nextLogFile(path: string, maxFile: number, file: LogFile): Promise<LogFile | undefined> {
  for (;;) {
    const place = await placeOf(path, maxFile, file.inode)
    if (place === 0) return undefined
    const next = place === undefined ? await oldest(path, maxFile) : await openFile(nameOf(path, place - 1))
    // A rotation while we looked has moved everything by one: look again.
    if (next !== undefined && (await placeOf(path, maxFile, file.inode)) === place && next.inode !== file.inode)
      return next
    await next?.handle.close()
    if (next === undefined) return undefined
  }
}

async function placeOf(path: string, maxFile: number, inode: number): Promise<number | undefined> {
  for (let number = 0; number < maxFile; number += 1) if ((await inodeOf(nameOf(path, number))) === inode) return number
  return undefined
}

async function oldest(path: string, maxFile: number): Promise<LogFile | undefined> {
  for (let number = maxFile - 1; number >= 0; number -= 1) {
    const file = await openFile(nameOf(path, number))
    if (file !== undefined) return file
  }
  return undefined
}

const step = 65536

/** The offset at which the last `count` lines begin, and how many lines were found from there; read from the end. */
export async function tailOffset(file: LogFile, count: number): Promise<{ offset: number; lines: number }> {
  const buffer = Buffer.allocUnsafe(step)
  let end = (await file.handle.stat()).size
  let lines = 0
  // The newline at the very end ends the last line; the one before it ends the line before.
  for (let first = true; end > 0; first = false) {
    const start = Math.max(0, end - step)
    const { bytesRead } = await file.handle.read(buffer, 0, end - start, start)
    let from = bytesRead - 1
    if (first && buffer[from] === 10) from -= 1
    for (; from >= 0; from -= 1) {
      from = buffer.lastIndexOf(10, from)
      if (from < 0) break
      lines += 1
      if (lines === count) return { offset: start + from + 1, lines }
    }
    end = start
  }
  return { offset: 0, lines: lines + ((await file.handle.stat()).size > 0 ? 1 : 0) }
}
