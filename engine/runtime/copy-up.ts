/** What an image has in a directory, copied into another by descriptors: no link of the image is ever followed. */
import { closeSync, readdirSync, readSync, writeSync } from 'node:fs'
import {
  changeModeOfPath,
  changeOwnerAt,
  fileTypes,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openFlags,
  readLinkAt,
  statusAt,
  symlinkAt,
} from '../kernel/paths.ffi.ts'
import { procPath } from './in-root.ts'

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH } = openFlags

const terminator = Buffer.alloc(1)

/** Contents, modes and owners; names as bytes. `from` and `to` may be O_PATH descriptors. */
export function copyDirectory(from: number, to: number): void {
  for (const name of readdirSync(procPath(from), { encoding: 'buffer' }))
    copyEntry(from, to, Buffer.concat([name, terminator]))
}

function copyEntry(from: number, to: number, name: Buffer): void {
  const status = statusAt(from, name)
  // Gone since it was listed.
  if (status === undefined) return
  const type = status.mode & fileTypes.S_IFMT
  if (type === fileTypes.S_IFDIR) makeDirectoryAt(to, name, 0o700)
  else if (type === fileTypes.S_IFLNK) symlinkAt(Buffer.concat([readLinkAt(from, name), terminator]), to, name)
  else if (type === fileTypes.S_IFREG) copyFile(from, to, name)
  else makeNodeAt(to, name, status.mode, status.deviceMajor, status.deviceMinor)
  changeOwnerAt(to, name, status.uid, status.gid)
  if (type === fileTypes.S_IFLNK) return
  using cleanup = new DisposableStack()
  const copy = cleanup.adopt(openAt(to, name, { flags: O_PATH | O_NOFOLLOW }), closeSync)
  if (type === fileTypes.S_IFDIR)
    copyDirectory(cleanup.adopt(openAt(from, name, { flags: O_PATH | O_DIRECTORY | O_NOFOLLOW }), closeSync), copy)
  // After the owner: a change of owner takes the set-user-ID bit away; chown(2).
  changeModeOfPath(copy, status.mode & 0o7777)
}

const chunk = Buffer.alloc(65536)

function copyFile(from: number, to: number, name: Buffer): void {
  using cleanup = new DisposableStack()
  const source = cleanup.adopt(openAt(from, name, { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK }), closeSync)
  const copy = cleanup.adopt(
    openAt(to, name, { flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 }),
    closeSync,
  )
  for (let count = readSync(source, chunk); count > 0; count = readSync(source, chunk))
    for (let written = 0; written < count; ) written += writeSync(copy, chunk, written, count - written)
}
