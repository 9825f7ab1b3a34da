/** Which images a list means. */
import type { Image } from '../images/image.ts'
import { invalid } from './errors.ts'
import type { Filters } from './filters.ts'

const known = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until']

/** Go's path.Match for `*` and `?`, over a whole name: neither crosses a slash. */
function globPattern(glob: string): RegExp {
  if (glob.length > 512) throw invalid(`invalid filter 'reference': a pattern of more than 512 characters`)
  // A run of stars says no more than one.
  const source = glob
    .replace(/\*+/g, '*')
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
  return new RegExp(`^${source}$`)
}

/** A glob on the whole familiar name, or on it without its tag. */
function matchesReference(glob: string, image: Image): boolean {
  const pattern = globPattern(glob)
  return [...image.tags, ...image.digests].some((name) => {
    const bare = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
    return pattern.test(name) || pattern.test(bare)
  })
}

const oldest = '0001-01-01T00:00:00Z'

const isDangling = (image: Image): boolean => image.tags.length === 0

/** @param get throws not-found for what `before` and `since` name */
export function listedImages(images: Image[], filters: Filters, get: (reference: string) => Image): Image[] {
  filters.only(...known)
  const dangling = filters.boolean('dangling')
  const created = (image: Image): string => image.config.created ?? ''
  const bound = (key: string): string | undefined => {
    const reference = filters.get(key)[0]
    return reference === undefined ? undefined : created(get(reference))
  }
  const before = bound('before')
  const since = bound('since')
  const chosen = images.filter(
    (image) =>
      (dangling === undefined || dangling === isDangling(image)) &&
      (before === undefined || created(image) < before) &&
      (since === undefined || created(image) > since) &&
      filters.any('reference', (glob) => matchesReference(glob, image)) &&
      filters.labels(image.config.config?.Labels ?? {}) &&
      filters.olderThanUntil(created(image) || oldest),
  )
  // Newest first, as dockerd lists them.
  return chosen.toSorted((one, other) => Date.parse(created(other) || oldest) - Date.parse(created(one) || oldest))
}
