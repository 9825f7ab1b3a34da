/**
 * Paths inside a container's root, which the container's image wrote and which are never trusted: openat2(2) resolves
 * them as if the root were `/`. All descriptors are O_PATH and close-on-exec; the caller closes them.
 */
import { closeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { errnoNumbers } from '../kernel/errno.table.ts'
import {
  fileTypes,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openFlags,
  readLinkAt,
  resolveFlags,
  statusOf,
  tryOpenAt,
} from '../kernel/paths.ffi.ts'

const { O_PATH, O_DIRECTORY, O_NOFOLLOW } = openFlags
const inRoot = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS

/** How a process names what its own descriptor shows, for calls that want a path. Needs the host's (or own) /proc. */
export const procPath = (fd: number): string => `/proc/self/fd/${fd}`

export const openDirectory = (root: number, path: string): number =>
  openAt(root, path, { flags: O_PATH | O_DIRECTORY, resolve: inRoot })

/** Whatever it is, links followed inside the root; undefined where there is nothing. */
export function tryOpenPath(root: number, path: string): number | undefined {
  const fd = tryOpenAt(root, path, { flags: O_PATH, resolve: inRoot })
  if (fd === -errnoNumbers.ENOENT || fd === -errnoNumbers.ENOTDIR) return undefined
  return fd < 0 ? openAt(root, path, { flags: O_PATH, resolve: inRoot }) : fd
}

function tryOpenStrictly(root: number, path: string): number | undefined {
  const request = { flags: O_PATH, resolve: inRoot | resolveFlags.RESOLVE_NO_SYMLINKS }
  const fd = tryOpenAt(root, path, request)
  if (fd === -errnoNumbers.ENOENT) return undefined
  if (fd === -errnoNumbers.ELOOP)
    throw new EngineError(
      'forbidden',
      `${JSON.stringify(path)} is, or is reached through, a symbolic link in the container's root`,
    )
  return fd < 0 ? openAt(root, path, request) : fd
}

const componentsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')

/** As many links as the kernel follows in one path; path_resolution(7). */
const mostLinks = 40

type EnsureOptions = { followLinks?: boolean; links?: number }

/**
 * Opens a directory inside the root, making what is missing (owner root, `mode`), also where a link leads nowhere yet. With
 * `followLinks` false a link on the way is refused, not followed.
 */
export function ensureDirectory(root: number, path: string, mode: number, options: EnsureOptions = {}): number {
  const resolve = options.followLinks === false ? inRoot | resolveFlags.RESOLVE_NO_SYMLINKS : inRoot
  const known = tryOpenAt(root, path === '' ? '.' : path, { flags: O_PATH | O_DIRECTORY, resolve })
  if (known >= 0) return known
  if (known === -errnoNumbers.ELOOP)
    throw new EngineError(
      'forbidden',
      `${JSON.stringify(path)} must be mounted on ordinary directory, and is a symbolic link in the container's root`,
    )
  if (known === -errnoNumbers.ENOTDIR)
    throw new EngineError(
      'invalid',
      `${JSON.stringify(path)} is not a directory in the container's root: not a directory`,
    )
  return makeComponents(root, componentsOf(path), mode, options)
}

/** Walks from prefix to prefix: `..` and links are the kernel's business, made is only a last component. */
function makeComponents(root: number, components: readonly string[], mode: number, options: EnsureOptions): number {
  const resolve = options.followLinks === false ? inRoot | resolveFlags.RESOLVE_NO_SYMLINKS : inRoot
  let parent = openAt(root, '.', { flags: O_PATH | O_DIRECTORY })
  for (const [index, component] of components.entries()) {
    const prefix = components.slice(0, index + 1).join('/')
    const request = { flags: O_PATH | O_NOFOLLOW, resolve }
    const found = tryOpenAt(root, prefix, request)
    if (component !== '..' && found === -errnoNumbers.ENOENT) makeDirectoryAt(parent, component, mode)
    // Any other failure is told as what it is, not as the want of what it kept from being made.
    else closeSync(found >= 0 ? found : openAt(root, prefix, request))
    const strict = options.followLinks === false
    const target = strict ? undefined : leadsNowhere(root, parent, component, components.slice(0, index))
    closeSync(parent)
    parent =
      target === undefined
        ? openAt(root, prefix, { flags: O_PATH | O_DIRECTORY, resolve })
        : ensureDirectory(root, target, mode, withOneLinkLess(target, options))
  }
  return parent
}

function withOneLinkLess(target: string, options: EnsureOptions): EnsureOptions {
  const links = (options.links ?? mostLinks) - 1
  if (links === 0) throw new EngineError('invalid', `${JSON.stringify(target)}: too many symbolic links`)
  return { ...options, links }
}

/** Where a link to nothing points to, as a path that counts from the root; undefined for everything else. */
function leadsNowhere(root: number, directory: number, name: string, before: readonly string[]): string | undefined {
  if (name === '..') return undefined
  const link = tryOpenAt(directory, name, { flags: O_PATH | O_NOFOLLOW })
  if (link < 0) return undefined
  try {
    if ((statusOf(link).mode & fileTypes.S_IFMT) !== fileTypes.S_IFLNK) return undefined
    const known = tryOpenPath(root, [...before, name].join('/'))
    if (known !== undefined) {
      closeSync(known)
      return undefined
    }
    const text = readLinkAt(link, '').toString()
    return text.startsWith('/') ? text : [...before, text].join('/')
  } finally {
    closeSync(link)
  }
}

/**
 * Opens a file inside the root, making an empty one (and directories to it) where there is nothing. With `followLinks` false
 * a link on the way is refused.
 */
export function ensureFile(root: number, path: string, options: EnsureOptions = {}): number {
  const known = options.followLinks === false ? tryOpenStrictly(root, path) : tryOpenPath(root, path)
  if (known !== undefined) return known
  const components = componentsOf(path)
  const name = components.pop()
  if (name === undefined || name === '..')
    throw new EngineError('invalid', `${JSON.stringify(path)} does not name a file`)
  const directory = ensureDirectory(root, components.join('/') === '' ? '.' : components.join('/'), 0o755, options)
  try {
    const strict = options.followLinks === false
    const target = strict ? undefined : leadsNowhere(root, directory, name, components)
    if (target !== undefined) return ensureFile(root, target, withOneLinkLess(target, options))
    makeNodeAt(directory, name, fileTypes.S_IFREG | 0o755)
    return openAt(directory, name, { flags: O_PATH | O_NOFOLLOW })
  } finally {
    closeSync(directory)
  }
}

export const isDirectory = (fd: number): boolean => (statusOf(fd).mode & fileTypes.S_IFMT) === fileTypes.S_IFDIR
