/**
 * The directories of a tree that is being written, kept open: an archive names a thousand files of one directory in a
 * row, and a descriptor is resolved once and cannot be bent afterwards.
 */
import { closeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { errnoName } from '../kernel/errno.table.ts'
import { changeOwner, makeDirectoryAt, openFlags, tryOpenAt } from '../kernel/paths.ffi.ts'
import { rawName } from '../snapshots/tree.ts'
import { type EntryPath, shown, splitPath } from './entry-path.ts'

/** Open at once; more are closed in the order they came. */
const most = 128

const directoryFlags = openFlags.O_RDONLY | openFlags.O_DIRECTORY

export class OpenDirectories implements Disposable {
  readonly #root: number
  readonly #resolve: number
  readonly #base: string
  readonly #owner: { uid: number; gid: number } | undefined
  readonly #open = new Map<string, number>()

  /**
   * @param root stays the caller's
   * @param resolve openat2(2) flags for every path
   * @param base a path inside root where the tree begins: '' is the root
   * @param owner of directories that are made; absent: root
   */
  constructor(root: number, resolve: number, base = '', owner?: { uid: number; gid: number }) {
    this.#root = root
    this.#resolve = resolve
    this.#base = base
    this.#owner = owner
  }

  /** The open directory; missing ones are made (0755, root) when `make` is set. invalid where something else is there. */
  get(path: EntryPath, make: boolean): number {
    if (path === '' && this.#base === '') return this.#root
    const known = this.#open.get(path)
    if (known !== undefined) return known
    const full = this.#base === '' ? path : path === '' ? this.#base : `${this.#base}/${path}`
    const opened = tryOpenAt(this.#root, rawName(full), { flags: directoryFlags, resolve: this.#resolve })
    if (opened >= 0) return this.keep(path, opened)
    const code = errnoName(-opened)
    if (code === 'ENOENT' && make && path !== '') return this.#make(path)
    throw refusal(path, code)
  }

  #make(path: EntryPath): number {
    const { parent, base } = splitPath(path)
    const directory = this.get(parent, true)
    const made = makeDirectoryAt(directory, rawName(base), 0o755)
    const opened = this.keep(path, openChild(directory, path, base))
    if (made && this.#owner !== undefined) changeOwner(opened, this.#owner.uid, this.#owner.gid)
    return opened
  }

  /** Takes over a descriptor of the directory `path`. */
  keep(path: EntryPath, descriptor: number): number {
    const before = this.#open.get(path)
    if (before !== undefined) closeSync(before)
    else if (this.#open.size >= most) this.#closeOldest()
    this.#open.set(path, descriptor)
    return descriptor
  }

  #closeOldest(): void {
    // The newest stay: the caller is working in one of them.
    for (const [path, descriptor] of [...this.#open].slice(0, most / 2)) {
      closeSync(descriptor)
      this.#open.delete(path)
    }
  }

  /** The directory has gone, with all below it. */
  forget(path: EntryPath): void {
    for (const [known, descriptor] of this.#open) {
      if (known !== path && !known.startsWith(`${path}/`)) continue
      closeSync(descriptor)
      this.#open.delete(known)
    }
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor)
    this.#open.clear()
  }
}

/** One component, never a link. */
export function openChild(directory: number, path: EntryPath, base: string): number {
  const opened = tryOpenAt(directory, rawName(base), { flags: directoryFlags | openFlags.O_NOFOLLOW })
  if (opened < 0) throw refusal(path, errnoName(-opened))
  return opened
}

function refusal(path: string, code: string): EngineError {
  if (code === 'EXDEV' || code === 'ELOOP')
    return new EngineError('invalid', `archive entry leaves the layer: ${shown(path)} is reached through a link`)
  if (code === 'ENOTDIR')
    return new EngineError(
      'invalid',
      `archive entry has no place: ${shown(path)} is, or is below, something that is not a directory`,
    )
  if (code === 'ENOENT')
    return new EngineError('invalid', `archive entry has no place: there is no directory ${shown(path)}`)
  return new EngineError('internal', `cannot open the directory ${shown(path)} of an archive: ${code}`)
}
