/** Which images a list means. */
import type { Image } from '../images/image.ts'
import type { Filters } from './filters.ts'
import { Glob } from './glob.ts'

const known = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until']

/** A glob on the whole familiar name, or on it without its tag. */
function matchesReference(glob: Glob, image: Image): boolean {
  return [...image.tags, ...image.digests].some((name) => {
    const bare = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
    return glob.matches(name) || glob.matches(bare)
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
  const globs = new Map(filters.get('reference').map((text) => [text, new Glob(text)]))
  const before = bound('before')
  const since = bound('since')
  const chosen = images.filter(
    (image) =>
      (dangling === undefined || dangling === isDangling(image)) &&
      (before === undefined || created(image) < before) &&
      (since === undefined || created(image) > since) &&
      filters.any('reference', (text) => matchesReference(globs.get(text) as Glob, image)) &&
      filters.labels(image.config.config?.Labels ?? {}) &&
      filters.olderThanUntil(created(image) || oldest),
  )
  // Newest first, as dockerd lists them.
  return chosen.toSorted((one, other) => Date.parse(created(other) || oldest) - Date.parse(created(one) || oldest))
}
