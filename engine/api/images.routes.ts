/** Images: what there is, and what can be done to one that is here. */
import { z } from 'zod'
import { EngineError } from '../base/errors.ts'
import { empty, json } from './answer.ts'
import { changed } from './commit-changes.ts'
import { commitBody } from './containers.schema.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import { listedImages } from './image-filters.ts'
import { imageInspect, imageSummary } from './image-view.ts'
import { byName, filters, flag, flagOn, word, words } from './query.schema.ts'
import { route } from './route.ts'

/** Containers by image id. */
function containerCounts(engine: Engine): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { imageId } of engine.containers.list()) counts.set(imageId, (counts.get(imageId) ?? 0) + 1)
  return counts
}

const list = route({
  method: 'GET',
  path: '/images/json',
  query: z.object({ all: flag, filters, 'shared-size': flag, digests: flag, manifests: flag }),
  handle: (engine, { query }) => {
    const found = listedImages(engine.images.list(), query.filters, (reference) => engine.images.get(reference))
    const counts = containerCounts(engine)
    return json(found.map((image) => imageSummary(image, counts.get(image.id) ?? 0)))
  },
})

const inspect = route({
  method: 'GET',
  path: '/images/{name}/json',
  params: byName,
  handle: (engine, { params }) => json(imageInspect(engine.images.get(params.name))),
})

const history = route({
  method: 'GET',
  path: '/images/{name}/history',
  params: byName,
  handle: (engine, { params }) => json(engine.images.history(params.name)),
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
  query: z.object({ force: flag, noprune: flag }),
  handle: async (engine, { params, query }) =>
    json(await engine.images.remove(params.name, { force: query.force, prune: !query.noprune })),
})

const prune = route({
  method: 'POST',
  path: '/images/prune',
  query: z.object({ filters: filters.transform((value) => value.only('dangling', 'label', 'label!', 'until')) }),
  handle: async (engine, { query }) => {
    const pruned = await engine.images.prune({
      dangling: query.filters.boolean('dangling') ?? true,
      filter: (image) =>
        query.filters.labels(image.config.config?.Labels ?? {}) &&
        query.filters.olderThanUntil(image.config.created ?? '0001-01-01T00:00:00Z'),
    })
    return json({ ImagesDeleted: pruned.deleted.length === 0 ? null : pruned.deleted, SpaceReclaimed: pruned.bytes })
  },
})

const search = route({
  method: 'GET',
  path: '/images/search',
  handle: () => {
    throw new EngineError(
      'not-implemented',
      'searching registries is not offered: their search interface is not standard',
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
      return json({ Id: image.id }, 201)
    } finally {
      if (pausing) await engine.containers.unpause(container.id)
    }
  },
})

export const imageRoutes = [list, inspect, history, tag, remove, prune, search, commit]
