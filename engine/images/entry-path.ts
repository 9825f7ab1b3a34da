/** Names in archives, made safe by checking: what has the type was checked. */
import { EngineError } from '../base/errors.ts'
import type { ByteName } from '../snapshots/tree.ts'

/** A path relative to the layer's root without `.`, `..` or empty parts; '' is the root itself. Bytes, as `ByteName`. */
export type EntryPath = string & { readonly checked: unique symbol }

/** PATH_MAX: the kernel takes no longer ones. */
const longest = 4095

/** A byte name for the eye. */
export const shown = (name: ByteName): string => JSON.stringify(Buffer.from(name, 'latin1').toString())

/** Throws invalid for a name that climbs out with `..`. A leading slash is the tree's own root, as tar(1) reads it. */
export function entryPath(untrusted: ByteName): EntryPath {
  const parts: string[] = []
  if (untrusted.includes('\0') || untrusted.length > longest)
    throw new EngineError('invalid', `archive entry has an impossible name: ${shown(untrusted.slice(0, 128))}`)
  for (const part of untrusted.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined)
      throw new EngineError('invalid', `archive entry leaves the layer: ${shown(untrusted)}`)
  }
  return parts.join('/') as EntryPath
}

/** The directory part and the last part of a path that is not the root. */
export function splitPath(path: EntryPath): { parent: EntryPath; base: string } {
  const slash = path.lastIndexOf('/')
  return { parent: path.slice(0, Math.max(slash, 0)) as EntryPath, base: path.slice(slash + 1) }
}
