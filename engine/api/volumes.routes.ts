/** Named volumes. */
import * as z from 'zod'
import { isKind } from '../base/errors.ts'
import type { Volume } from '../volumes/volume.ts'
import { empty, json } from './answer.ts'
import { atLeast } from './api-version.ts'
import { clientOption } from './client.ts'
import type { Volume as WireVolume } from './contract/docker-store.ts'
import type { Engine } from './engine.ts'
import type { Filters } from './filters.ts'
import { pruneOnce } from './prune-once.ts'
import { byName, filters, flag, goObject, optionalMap, optionalText } from './query.schema.ts'
import { route } from './route.ts'

const orNull = (map: Record<string, string>): Record<string, string> | null =>
  Object.keys(map).length === 0 ? null : map

export const volumeView = (volume: Volume): WireVolume => ({
  CreatedAt: volume.created,
  Driver: volume.driver,
  Labels: orNull(volume.labels),
  Mountpoint: volume.mountpoint,
  Name: volume.name,
  Options: orNull(volume.options),
  Scope: 'local',
})

function selected(engine: Engine, wanted: Filters): Volume[] {
  wanted.only('dangling', 'driver', 'label', 'name')
  const dangling = wanted.boolean('dangling')
  return engine.volumes
    .list()
    .filter(
      (volume) =>
        wanted.any('driver', (driver) => driver === volume.driver) &&
        wanted.pattern('name', [volume.name]) &&
        (dangling === undefined || dangling === (engine.containers.volumeUsers(volume.name).length === 0)) &&
        wanted.labels(volume.labels),
    )
}

const announce = (engine: Engine, action: string, name: string): void =>
  engine.events.emit('volume', action, name, { driver: 'local' })

const list = route({
  method: 'GET',
  path: '/volumes',
  query: z.object({ filters }),
  handle: (engine, { query }) => json({ Volumes: selected(engine, query.filters).map(volumeView), Warnings: null }),
})

const create = route({
  method: 'POST',
  path: '/volumes/create',
  body: goObject({ Name: optionalText, Driver: optionalText, DriverOpts: optionalMap, Labels: optionalMap }),
  handle: async (engine, { body, request }) => {
    const known = new Set(engine.volumes.list().map(({ name }) => name))
    const volume = await engine.volumes.create({
      ...(body.Name ? { name: body.Name } : {}),
      ...(body.Driver ? { driver: body.Driver } : {}),
      ...(body.DriverOpts === undefined ? {} : { options: body.DriverOpts }),
      ...(body.Labels === undefined ? {} : { labels: body.Labels }),
      ...clientOption(engine, request),
    })
    if (!known.has(volume.name)) announce(engine, 'create', volume.name)
    return json(volumeView(volume), 201)
  },
})

const inspect = route({
  method: 'GET',
  path: '/volumes/{name}',
  params: byName,
  handle: (engine, { params }) => json(volumeView(engine.volumes.get(params.name))),
})

const remove = route({
  method: 'DELETE',
  path: '/volumes/{name}',
  params: byName,
  query: z.object({ force: flag }),
  handle: async (engine, { params, query }) => {
    await engine.volumes.remove(params.name, { force: query.force, usedBy: engine.containers.volumeUsers(params.name) })
    announce(engine, 'destroy', params.name)
    return empty(204)
  },
})

/** The label that Docker gives to volumes that nobody named. */
export const anonymousLabel = 'com.docker.volume.anonymous'

/** Volumes that no container mounts; named ones only where `all` says so. */
export const unusedVolumes = (engine: Engine, wanted: Filters, byDefault = false): Volume[] => {
  const all = wanted.boolean('all') ?? byDefault
  return engine.volumes
    .list()
    .filter(
      (volume) =>
        (all || Object.hasOwn(volume.labels, anonymousLabel)) &&
        wanted.labels(volume.labels) &&
        engine.containers.volumeUsers(volume.name).length === 0,
    )
}

async function pruneVolumes(engine: Engine, unused: readonly Volume[]): Promise<{ deleted: string[]; bytes: number }> {
  const deleted: string[] = []
  let bytes = 0
  for (const { name } of unused)
    try {
      const size = await engine.volumes.usage(name)
      await engine.volumes.remove(name, { force: false, usedBy: engine.containers.volumeUsers(name) })
      announce(engine, 'destroy', name)
      deleted.push(name)
      bytes += size
    } catch (error) {
      // Used or removed meanwhile: then it is not ours to prune.
      if (!isKind(error, 'conflict') && !isKind(error, 'not-found')) throw error
    }
  return { deleted, bytes }
}

const prune = route({
  method: 'POST',
  path: '/volumes/prune',
  query: z.object({ filters: filters.transform((value) => value.only('all', 'label', 'label!')) }),
  handle: async (engine, { query, request }) => {
    // Before there was the filter `all`, all were meant; API 1.42.
    const all = !atLeast(request.version, '1.42')
    const { deleted, bytes } = await pruneOnce(engine, 'volume', () =>
      pruneVolumes(engine, unusedVolumes(engine, query.filters, all)),
    )
    return json({ VolumesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: bytes })
  },
})

export const volumeRoutes = [list, create, inspect, remove, prune]
