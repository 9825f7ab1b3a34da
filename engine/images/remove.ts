/** `docker rmi` and `docker image prune`: what may go, what is in the way, in Docker's order and words. */
import { EngineError } from '../base/errors.ts'
import { shortId } from '../base/identifier.ts'
import type { Collector } from './collect.ts'
import type { ImageDepot } from './depot.ts'
import { chainIds, type Digest } from './digest.ts'
import type { DeletedImage, Image, ImageUse, PruneImages } from './image.ts'
import { familiar, parseReference, type Reference, repositoryName, withDefaultTag } from './reference.ts'

export type RemovalContext = {
  readonly depot: ImageDepot
  readonly collector: Collector
  readonly usedBy: (imageId: string) => readonly ImageUse[]
}

/** not-found, or conflict with the reason. `prune` also frees what nothing needs any more. */
export async function removeImage(
  context: RemovalContext,
  text: string,
  { force, prune }: { force: boolean; prune: boolean },
): Promise<DeletedImage[]> {
  const image = context.depot.records.get(text)
  const removed = context.depot.records.atomically(() =>
    namesById(image, text) ? removeById(context, image, force) : removeByName(context, image, text, force),
  )
  for (const record of removed) tell(context.depot, image, record)
  if (!prune || !removed.some((record) => 'Deleted' in record)) return removed
  return [...removed, ...(await freeLayers(context, image))]
}

function namesById(image: Image, text: string): boolean {
  return image.id.startsWith(text) || image.id.slice('sha256:'.length).startsWith(text)
}

/** By a name only that name goes; with the last one goes the image, unless something uses it. */
function removeByName(context: RemovalContext, image: Image, text: string, force: boolean): DeletedImage[] {
  const { records } = context.depot
  const reference = withDefaultTag(parseReference(text))
  const before = records.references(image.id)
  if (isOneName(before)) refuseUsedName(context, image, reference, force)
  const removed = [reference, ...orphanedDigests(before, reference)]
  for (const one of removed) records.removeReference(one)
  const untagged = removed.map((one) => ({ Untagged: familiar(digestOnly(one)) }))
  if (records.references(image.id).length > 0) return untagged
  return [...untagged, ...deleteImage(context, image)]
}

const digestOnly = ({ domain, path, tag, digest }: Reference): Reference =>
  digest === undefined ? { domain, path, ...(tag !== undefined && { tag }) } : { domain, path, digest }

/** Digests of a repository whose last tag goes say nothing any more. */
function orphanedDigests(references: readonly Reference[], removed: Reference): Reference[] {
  if (removed.digest !== undefined) return []
  const same = references.filter((one) => repositoryName(one) === repositoryName(removed) && one.tag !== removed.tag)
  return same.some((one) => one.digest === undefined) ? [] : same
}

function refuseUsedName({ usedBy }: RemovalContext, image: Image, reference: Reference, force: boolean): void {
  const uses = usedBy(image.id)
  const running = uses.find((use) => use.running)
  if (force && running !== undefined) throw inUse(image, running, 'cannot be forced')
  if (force || uses.length === 0) return
  throw new EngineError(
    'conflict',
    `conflict: unable to remove repository reference ${JSON.stringify(familiar(reference))} (must force) - ` +
      `container ${shortId(uses[0]!.containerId)} is using its referenced image ${shortId(image.id)}`,
  )
}

/** By id all names go, as long as they are of one repository with one tag, or force is given. */
function removeById(context: RemovalContext, image: Image, force: boolean): DeletedImage[] {
  const { records } = context.depot
  const references = records.references(image.id)
  const uses = context.usedBy(image.id)
  const running = uses.find((use) => use.running)
  if (running !== undefined) throw inUse(image, running, 'cannot be forced')
  if (!force && references.length > 0 && !isOneName(references))
    throw blocked(image, 'must be forced', 'image is referenced in multiple repositories')
  if (!force && uses[0] !== undefined) throw inUse(image, uses[0], 'must be forced')
  for (const one of references) records.removeReference(one)
  return [...references.map((one) => ({ Untagged: familiar(one) })), ...deleteImage(context, image)]
}

function deleteImage({ depot }: RemovalContext, image: Image): DeletedImage[] {
  // One that an update of the machine has left behind has no name any more, and may go.
  if (image.host && image.tags.length > 0)
    throw blocked(image, 'cannot be forced', 'image is this machine itself, embedded in the engine')
  depot.records.delete(image.id)
  return [{ Deleted: image.id }]
}

const blocked = (image: Image, how: string, why: string): EngineError =>
  new EngineError('conflict', `conflict: unable to delete ${shortId(image.id)} (${how}) - ${why}`)

function inUse(image: Image, use: ImageUse, how: string): EngineError {
  const state = use.running ? 'running' : 'stopped'
  return blocked(image, how, `image is being used by ${state} container ${shortId(use.containerId)}`)
}

/** All of one repository, and at most one of them a tag; false for none. */
function isOneName(references: readonly Reference[]): boolean {
  const repositories = new Set(references.map(repositoryName))
  return repositories.size === 1 && references.filter((one) => one.digest === undefined).length <= 1
}

async function freeLayers({ depot, collector }: RemovalContext, image: Image): Promise<DeletedImage[]> {
  const chains = chainIds(image.config.rootfs.diff_ids as Digest[]).filter((id) => depot.snapshotter.has(id))
  await collector.collect()
  return chains
    .filter((id) => !depot.snapshotter.has(id))
    .reverse()
    .map((id) => ({ Deleted: id }))
}

function tell(depot: ImageDepot, image: Image, record: DeletedImage): void {
  const attributes = { ...image.config.config?.Labels, name: image.id }
  depot.onEvent('Untagged' in record ? 'untag' : 'delete', image.id, attributes)
}

/**
 * Dangling images, or all that no container uses, and what interrupted pulls have left. The bytes are those that the
 * disk has back.
 */
export async function pruneImages(
  context: RemovalContext,
  { dangling, filter, dryRun }: PruneImages,
): Promise<{ deleted: DeletedImage[]; bytes: number }> {
  const { records } = context.depot
  const going = records
    .list()
    .filter((image) => (!image.host || image.tags.length === 0) && (!dangling || image.tags.length === 0))
    .filter((image) => context.usedBy(image.id).length === 0 && filter(image))
  const deleted: DeletedImage[] = []
  if (dryRun)
    for (const image of going) {
      for (const one of records.references(image.id)) deleted.push({ Untagged: familiar(one) })
      deleted.push({ Deleted: image.id })
    }
  if (dryRun) return { deleted, bytes: ownBytes(context, going) }
  for (const image of going) {
    const removed = records.atomically(() => removeById(context, image, true))
    for (const record of removed) tell(context.depot, image, record)
    deleted.push(...removed)
  }
  context.depot.leases.dropAbandoned()
  context.depot.content.dropPartial()
  const chains = new Set(going.flatMap((image) => chainIds(image.config.rootfs.diff_ids as Digest[])))
  const present = [...chains].filter((id) => context.depot.snapshotter.has(id))
  const bytes = await context.collector.collect()
  for (const id of present) if (!context.depot.snapshotter.has(id)) deleted.push({ Deleted: id })
  return { deleted, bytes }
}

/** What the image `host` was before the machine changed, as far as no container stands on it; for the start of the engine. */
export async function removeOldHosts(context: RemovalContext): Promise<void> {
  const { records } = context.depot
  const old = records.list().filter((image) => image.host && records.references(image.id).length === 0)
  const going = old.filter((image) => context.usedBy(image.id).length === 0)
  for (const image of going)
    for (const record of records.atomically(() => deleteImage(context, image))) tell(context.depot, image, record)
  if (going.length > 0) await context.collector.collect()
}

/** Bytes of the layers that only the given images have. */
function ownBytes({ depot }: RemovalContext, images: readonly Image[]): number {
  const chainsOf = (image: Image): Digest[] => chainIds(image.config.rootfs.diff_ids as Digest[])
  const going = new Set(images.map((image) => image.id))
  const kept = new Set(
    depot.records
      .list()
      .filter((image) => !going.has(image.id))
      .flatMap(chainsOf),
  )
  const own = new Set(images.flatMap(chainsOf).filter((id) => !kept.has(id)))
  return [...own].reduce((sum, id) => sum + depot.records.layerBytes(id), 0)
}
