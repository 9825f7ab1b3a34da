/** The mount of one part of a root: overlay(5), overlayfs.rst. */
import { dirname } from 'node:path'
import { mount } from '../kernel/mount.ffi.ts'
import type { RootMount } from './request.ts'

/** Nothing that a commit of the upper directory could not carry. */
export const asRoot = 'redirect_dir=off,metacopy=off'
/** There trusted.* attributes are out of reach, and with them the options that use them; Linux 5.11. */
export const inUserNamespace = 'userxattr'

/** Longest option string of mount(2) is a page; the layers' common directory is left out by standing in it. */
export function mountOverlay(part: RootMount, target: string, how = asRoot): void {
  const data = `${how},${overlayData(part, (path) => path)}`
  if (data.length < 4000) {
    mount({ source: 'overlay', target, type: 'overlay', data })
    return
  }
  const base = dirname(dirname(part.lower[0]!))
  const home = process.cwd()
  process.chdir(base)
  try {
    mount({
      source: 'overlay',
      target,
      type: 'overlay',
      data: `${how},${overlayData(part, (path) => (path.startsWith(`${base}/`) ? path.slice(base.length + 1) : path))}`,
    })
  } finally {
    process.chdir(home)
  }
}

/** Colons and backslashes in paths are escaped with a backslash, commas cannot be. */
function overlayData(part: RootMount, shorten: (path: string) => string): string {
  const escaped = (path: string) => shorten(path).replaceAll(/([\\:])/g, '\\$1')
  const lower = `lowerdir=${part.lower.map(escaped).join(':')}`
  return part.upper === undefined ? lower : `${lower},upperdir=${shorten(part.upper)},workdir=${shorten(part.work!)}`
}
