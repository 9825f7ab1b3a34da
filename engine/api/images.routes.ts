/** Images: what there is, and what can be done to one that is here. */
import * as z from 'zod'
import type { Image } from '../images/image.ts'
import { empty, json } from './answer.ts'
import { changed } from './commit-changes.ts'
import { commitBody } from './containers.schema.ts'
import type { ImageManifest, SearchResult } from './contract/docker-store.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import type { Filters } from './filters.ts'
import { listedImages } from './image-filters.ts'
import { platform, platforms, requirePlatform } from './image-platform.ts'
import { imageInspect, imageManifest, imageSummary } from './image-view.ts'
import { pruneOnce } from './prune-once.ts'
import { byName, filters, flag, flagOn, integer, word, words } from './query.schema.ts'
import { authOption } from './registry-auth.ts'
import { route } from './route.ts'

/** Ids of containers by image id. */
function containersByImage(engine: Engine): Map<string, string[]> {
  const users = new Map<string, string[]>()
  for (const { id, imageId } of engine.containers.list()) users.set(imageId, [...(users.get(imageId) ?? []), id])
  return users
}

/** An image here has one manifest, or none: `host`. */
async function manifestsOf(engine: Engine, image: Image, users: readonly string[]): Promise<ImageManifest[]> {
  const manifest = await engine.images.manifest(image)
  return manifest === undefined ? [] : [imageManifest(image, manifest, users)]
}

const list = route({
  method: 'GET',
  path: '/images/json',
  query: z.object({ all: flag, filters, 'shared-size': flag, digests: flag, manifests: flag }),
  handle: async (engine, { query }) => {
    const found = listedImages(engine.images.list(), query.filters, (reference) => engine.images.get(reference))
    const users = containersByImage(engine)
    const shared = query['shared-size'] ? engine.images.layerUse().shared : undefined
    const summaries = found.map(async (image) => ({
      ...imageSummary(image, users.get(image.id)?.length ?? 0, shared?.get(image.id)),
      ...(query.manifests ? { Manifests: await manifestsOf(engine, image, users.get(image.id) ?? []) } : {}),
    }))
    return json(await Promise.all(summaries))
  },
})

const inspect = route({
  method: 'GET',
  path: '/images/{name}/json',
  params: byName,
  query: z.object({ manifests: flag, platform }),
  handle: async (engine, { params, query }) => {
    if (query.manifests && query.platform !== undefined)
      throw invalid('conflicting options: manifests and platform options cannot both be set')
    const image = engine.images.get(params.name)
    requirePlatform(image, query.platform, params.name)
    const view = imageInspect(image)
    if (!query.manifests) return json(view)
    const users = containersByImage(engine).get(image.id) ?? []
    return json({ ...view, Manifests: await manifestsOf(engine, image, users) })
  },
})

const history = route({
  method: 'GET',
  path: '/images/{name}/history',
  params: byName,
  query: z.object({ platform }),
  handle: (engine, { params, query }) => {
    requirePlatform(engine.images.get(params.name), query.platform, params.name)
    return json(engine.images.history(params.name))
  },
})

/** `repo` and `tag` as one reference; empty repo: none. */
export const joinReference = (repo: string, tag: string): string => {
  if (repo === '' || tag === '') return repo
  return tag.includes(':') ? `${repo}@${tag}` : `${repo}:${tag}`
}

const tag = route({
  method: 'POST',
  path: '/images/{name}/tag',
  params: byName,
  query: z.object({ repo: word, tag: word }),
  handle: (engine, { params, query }) => {
    if (query.repo === '') throw invalid('invalid reference format: the parameter repo is empty')
    engine.images.tag(params.name, joinReference(query.repo, query.tag))
    return empty(201)
  },
})

const remove = route({
  method: 'DELETE',
  path: '/images/{name}',
  params: byName,
  query: z.object({ force: flag, noprune: flag, platforms }),
  handle: async (engine, { params, query }) => {
    for (const one of query.platforms) requirePlatform(engine.images.get(params.name), one, params.name)
    return json(await engine.images.remove(params.name, { force: query.force, prune: !query.noprune }))
  },
})

const prune = route({
  method: 'POST',
  path: '/images/prune',
  query: z.object({ filters: filters.transform((value) => value.only('dangling', 'label', 'label!', 'until')) }),
  handle: async (engine, { query }) => {
    const dangling = query.filters.boolean('dangling') ?? true
    const filter = (image: Image): boolean =>
      query.filters.labels(image.config.config?.Labels ?? {}) &&
      query.filters.olderThanUntil(image.config.created ?? '0001-01-01T00:00:00Z')
    const pruned = await pruneOnce(engine, 'image', () => engine.images.prune({ dangling, filter }))
    return json({ ImagesDeleted: pruned.deleted.length === 0 ? null : pruned.deleted, SpaceReclaimed: pruned.bytes })
  },
})

/** A number of stars that a hit has at least. */
function starsOf(filters: Filters): number {
  const [value = '0'] = filters.get('stars')
  if (!/^[+-]?\d+$/.test(value)) throw invalid(`invalid filter 'stars=[${value}]'`)
  return Number(value)
}

const search = route({
  method: 'GET',
  path: '/images/search',
  query: z.object({
    term: word,
    limit: integer,
    filters: filters.transform((value) => value.only('is-automated', 'is-official', 'stars')),
  }),
  handle: async (engine, { query, request }) => {
    const official = query.filters.boolean('is-official')
    const stars = starsOf(query.filters)
    // Automated builds are no more: nothing is one.
    if (query.filters.boolean('is-automated') === true) return json([])
    const hits = await engine.images.search(query.term, {
      ...(query.limit === undefined || query.limit === 0 ? {} : { limit: query.limit }),
      ...authOption(request.headers['x-registry-auth']),
      signal: request.signal,
    })
    return json(
      hits
        .filter((hit) => hit.stars >= stars && (official === undefined || hit.official === official))
        .map(
          (hit): SearchResult => ({
            star_count: hit.stars,
            is_official: hit.official,
            name: hit.name,
            is_automated: false,
            description: hit.description,
          }),
        ),
    )
  },
})

const commit = route({
  method: 'POST',
  path: '/commit',
  query: z.object({
    container: word,
    repo: word,
    tag: word,
    comment: word,
    author: word,
    pause: flagOn,
    changes: words,
  }),
  body: commitBody,
  handle: async (engine, { query, body }) => {
    const container = engine.containers.get(query.container)
    const config = changed(container.config, body, query.changes)
    const pausing = query.pause && container.run.state === 'running'
    if (pausing) await engine.containers.pause(container.id)
    try {
      const image = await engine.images.commit({
        snapshotKey: container.id,
        base: engine.images.get(container.imageId),
        config,
        ...(query.repo === '' ? {} : { reference: joinReference(query.repo, query.tag) }),
        ...(query.author === '' ? {} : { author: query.author }),
        ...(query.comment === '' ? {} : { comment: query.comment }),
      })
      engine.events.emit('container', 'commit', container.id, {
        ...container.config.Labels,
        comment: query.comment,
        image: container.config.Image,
        imageID: image.id,
        imageRef: joinReference(query.repo, query.tag),
        name: container.name,
      })
      return json({ Id: image.id }, 201)
    } finally {
      if (pausing) await engine.containers.unpause(container.id)
    }
  },
})

export const imageRoutes = [list, inspect, history, tag, remove, prune, search, commit]
