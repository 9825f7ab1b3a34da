/** Containers: what there is, and what can be asked of one. */
import * as z from 'zod'
import type { Container } from '../lifecycle/container.ts'
import { empty, json } from './answer.ts'
import { clientOption } from './client.ts'
import { listed } from './container-filters.ts'
import { inspectView, summaryView } from './container-view.ts'
import { createContainerBody, updateBody } from './containers.schema.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import { pruneOnce } from './prune-once.ts'
import { byId, cells, filters, flag, integer, word } from './query.schema.ts'
import { route } from './route.ts'

/** The id of the image that a reference means now; undefined when it means none. */
export function imageIdOf(engine: Engine, reference: string): string | undefined {
  try {
    return engine.images.get(reference).id
  } catch {
    return undefined
  }
}

function networkNameOf(engine: Engine, reference: string): string | undefined {
  try {
    return engine.networks.get(reference).name
  } catch {
    return undefined
  }
}

/** A look-up that asks once for each reference: a list of a thousand containers names few images. */
function remembered<T>(lookUp: (reference: string) => T): (reference: string) => T {
  const known = new Map<string, T>()
  return (reference) => {
    if (!known.has(reference)) known.set(reference, lookUp(reference))
    return known.get(reference) as T
  }
}

/** The name a container was created by, or the image's id where that name means another image by now. For one answer. */
export function imageNames(engine: Engine): (container: Container) => string {
  const idOf = remembered((reference) => imageIdOf(engine, reference))
  return ({ config, imageId }) => (idOf(config.Image) === imageId ? config.Image : imageId)
}

const list = route({
  method: 'GET',
  path: '/containers/json',
  query: z.object({ all: flag, limit: integer, size: flag, filters }),
  handle: async (engine, { query }) => {
    const found = listed(engine.containers, query, {
      imageIdOf: remembered((reference) => imageIdOf(engine, reference)),
      networkNameOf: remembered((reference) => networkNameOf(engine, reference)),
    })
    const now = Date.now()
    const nameOf = imageNames(engine)
    const summaries = found.map(async (container) => {
      const summary = summaryView(container, nameOf(container), now)
      if (!query.size) return summary
      const { sizeRw, sizeRootFs } = await engine.containers.size(container.id)
      return { ...summary, SizeRw: sizeRw, SizeRootFs: sizeRootFs }
    })
    return json(await Promise.all(summaries))
  },
})

const create = route({
  method: 'POST',
  path: '/containers/create',
  query: z.object({ name: word, platform: word }),
  body: createContainerBody,
  handle: async (engine, { query, body, request }) => {
    if (body.config.Image === '') throw invalid('no image specified: the field Image is empty')
    const created = await engine.containers.create({
      ...body,
      ...(query.name === '' ? {} : { name: query.name.replace(/^\//, '') }),
      ...(query.platform === '' ? {} : { platform: query.platform }),
      ...clientOption(engine, request),
    })
    return json({ Id: created.id, Warnings: created.warnings }, 201)
  },
})

const inspect = route({
  method: 'GET',
  path: '/containers/{id}/json',
  params: byId,
  query: z.object({ size: flag }),
  handle: async (engine, { params, query }) => {
    const container = engine.containers.get(params.id)
    const view = inspectView(container, engine.containers.execIds(container.id))
    if (!query.size) return json(view)
    const { sizeRw, sizeRootFs } = await engine.containers.size(container.id)
    return json({ ...view, SizeRw: sizeRw, SizeRootFs: sizeRootFs })
  },
})

const rename = route({
  method: 'POST',
  path: '/containers/{id}/rename',
  params: byId,
  query: z.object({ name: word }),
  handle: async (engine, { params, query }) => {
    await engine.containers.rename(params.id, query.name.replace(/^\//, ''))
    return empty(204)
  },
})

const update = route({
  method: 'POST',
  path: '/containers/{id}/update',
  params: byId,
  body: updateBody,
  handle: async (engine, { params, body: { RestartPolicy, ...resources } }) =>
    json({ Warnings: await engine.containers.update(params.id, resources, RestartPolicy) }),
})

const resize = route({
  method: 'POST',
  path: '/containers/{id}/resize',
  params: byId,
  query: z.object({ h: cells, w: cells }),
  handle: async (engine, { params, query }) => {
    await engine.containers.resize(params.id, { height: query.h, width: query.w })
    return empty(200)
  },
})

const top = route({
  method: 'GET',
  path: '/containers/{id}/top',
  params: byId,
  query: z.object({ ps_args: word }),
  handle: (engine, { params, query }) => json(engine.containers.top(params.id, query.ps_args || '-ef')),
})

const changes = route({
  method: 'GET',
  path: '/containers/{id}/changes',
  params: byId,
  handle: async (engine, { params }) => {
    const found = await engine.containers.changes(params.id)
    return json(found.length === 0 ? null : found)
  },
})

const remove = route({
  method: 'DELETE',
  path: '/containers/{id}',
  params: byId,
  query: z.object({ v: flag, force: flag, link: flag }),
  handle: async (engine, { params, query }) => {
    if (query.link) throw invalid('links between containers are not kept: connect both to one network')
    await engine.containers.remove(params.id, { force: query.force, volumes: query.v })
    return empty(204)
  },
})

const prune = route({
  method: 'POST',
  path: '/containers/prune',
  query: z.object({ filters: filters.transform((value) => value.only('label', 'label!', 'until')) }),
  handle: async (engine, { query }) => {
    const filter = (container: Container): boolean =>
      query.filters.labels(container.config.Labels ?? {}) && query.filters.olderThanUntil(container.created)
    const pruned = await pruneOnce(engine, 'container', () => engine.containers.prune({ filter }))
    return json({ ContainersDeleted: pruned.ids.length === 0 ? null : pruned.ids, SpaceReclaimed: pruned.bytes })
  },
})

export const containerRoutes = [list, create, inspect, rename, update, resize, top, changes, remove, prune]
