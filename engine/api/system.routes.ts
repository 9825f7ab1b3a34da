/** The engine itself. */
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import { empty, json, text } from './answer.ts'
import { summaryView } from './container-view.ts'
import { imageNames } from './containers.routes.ts'
import type { DiskUsage } from './contract/docker-store.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import { imageSummary } from './image-view.ts'
import { words } from './query.schema.ts'
import { route } from './route.ts'
import { infoView, versionView } from './system-view.ts'
import { volumeView } from './volumes.routes.ts'

/** Clients negotiate by these. */
const pingHeaders = {
  'Builder-Version': '1',
  'Cache-Control': 'no-cache, no-store, must-revalidate',
  Pragma: 'no-cache',
  Swarm: 'inactive',
}

const ping = route({ method: 'GET', path: '/_ping', handle: () => text('OK', pingHeaders) })

const pingHead = route({
  method: 'HEAD',
  path: '/_ping',
  handle: () => empty(200, { ...pingHeaders, 'Content-Type': 'text/plain; charset=utf-8' }),
})

const version = route({ method: 'GET', path: '/version', handle: () => json(versionView()) })

const info = route({ method: 'GET', path: '/info', handle: (engine) => json(infoView(engine)) })

const kinds = ['container', 'image', 'volume', 'build-cache'] as const

async function diskUsage(engine: Engine, wanted: readonly string[]): Promise<DiskUsage> {
  const has = (kind: (typeof kinds)[number]): boolean => wanted.length === 0 || wanted.includes(kind)
  const containers = engine.containers.list()
  const images = engine.images.list()
  const layers = engine.images.layerUse()
  const nameOf = imageNames(engine)
  const now = Date.now()
  const sized = async (container: (typeof containers)[number]) => {
    const { sizeRw, sizeRootFs } = await engine.containers.size(container.id)
    return { ...summaryView(container, nameOf(container), now), SizeRw: sizeRw, SizeRootFs: sizeRootFs }
  }
  const measured = async (volume: ReturnType<Engine['volumes']['get']>) => ({
    ...volumeView(volume),
    UsageData: {
      Size: await engine.volumes.usage(volume.name),
      RefCount: engine.containers.volumeUsers(volume.name).length,
    },
  })
  const usersOfImage = (id: string): number => containers.filter(({ imageId }) => imageId === id).length
  return {
    LayersSize: has('image') ? layers.total : 0,
    Images: has('image')
      ? images.map((image) => imageSummary(image, usersOfImage(image.id), layers.shared.get(image.id)))
      : [],
    Containers: has('container') ? await Promise.all(containers.map(sized)) : [],
    Volumes: has('volume') ? await Promise.all(engine.volumes.list().map(measured)) : [],
    BuildCache: [],
  }
}

const disk = route({
  method: 'GET',
  path: '/system/df',
  query: z.object({ type: words }),
  handle: async (engine, { query }) => {
    for (const type of query.type)
      if (!(kinds as readonly string[]).includes(type)) throw invalid(`unknown object type: ${type}`)
    return json(await diskUsage(engine, query.type))
  },
})

const build = route({
  method: 'POST',
  path: '/build',
  handle: () => {
    throw new EngineError('not-implemented', 'this engine has no builder yet: build the image elsewhere and load it')
  },
})

/** Browsers ask before they send; dockerd says yes to all of it. */
const options = route({ method: 'OPTIONS', path: '/{anything}', handle: () => empty(200) })

/** `docker system prune` asks for this, too: without a builder nothing is cached, so nothing goes. */
const buildPrune = route({
  method: 'POST',
  path: '/build/prune',
  handle: () => json({ CachesDeleted: null, SpaceReclaimed: 0 }),
})

export const systemRoutes = [buildPrune, options, ping, pingHead, version, info, disk, build]
