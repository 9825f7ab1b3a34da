/** What Drydock has beyond Docker: the layers below a container, and a look before a prune. */
import { availableParallelism } from 'node:os'
import * as z from 'zod'
import { EngineError, isKind } from '../base/errors.ts'
import type { Container } from '../lifecycle/container.ts'
import { cgroupPath } from '../lifecycle/engine.ts'
import { json, lines, tunnel } from './answer.ts'
import type { LimitsSample, NamespaceList, PrunePreview } from './contract/drydock.ts'
import { limitsView, namedGroup, namespaceView, type OwnerOf } from './drydock-view.ts'
import type { Engine } from './engine.ts'
import { Filters } from './filters.ts'
import { unusedNetworks } from './networks.routes.ts'
import { byId, flag, goObject, word } from './query.schema.ts'
import { route } from './route.ts'
import { pause } from './stats.routes.ts'
import { unusedVolumes } from './volumes.routes.ts'

/** By the groups that containers' processes are in. */
function owners(engine: Engine): OwnerOf {
  const byPid = new Map<number, Container>()
  for (const container of engine.containers.list()) {
    if (container.run.pid === 0) continue
    for (const pid of engine.cgroups.group(cgroupPath(engine, container)).processes()) byPid.set(pid, container)
    byPid.set(container.run.pid, container)
  }
  return (pid) => byPid.get(pid)
}

function namespaceList(engine: Engine): NamespaceList {
  const ownerOf = owners(engine)
  return { Namespaces: engine.namespaces().map((namespace) => namespaceView(namespace, ownerOf)) }
}

const namespaces = route({
  method: 'GET',
  path: '/drydock/namespaces',
  handle: (engine) => json(namespaceList(engine)),
})

const containerNamespaces = route({
  method: 'GET',
  path: '/drydock/containers/{id}/namespaces',
  params: byId,
  handle: (engine, { params }) => {
    const container = engine.containers.get(params.id)
    const all = namespaceList(engine).Namespaces
    return json({
      Namespaces: all.filter(({ Members }) => Members.some(({ ContainerId }) => ContainerId === container.id)),
    })
  },
})

const cgroups = route({
  method: 'GET',
  path: '/drydock/cgroups',
  handle: (engine) => {
    const tree = engine.cgroupTree()
    const byContainerId = new Map(engine.containers.list().map((container) => [container.id, container]))
    return json({ ...tree, Root: namedGroup(tree.Root, byContainerId) })
  },
})

const sample = (engine: Engine, id: string): LimitsSample => {
  const { read, use } = engine.containers.sample(id)
  return limitsView(read, use, availableParallelism())
}

const limits = route({
  method: 'GET',
  path: '/drydock/containers/{id}/limits',
  params: byId,
  query: z.object({ stream: flag }),
  handle: (engine, { params, query }) => {
    const { id } = engine.containers.get(params.id)
    const first = sample(engine, id)
    if (!query.stream) return json(first)
    return lines(async (write, signal, waiting) => {
      write(first)
      while (await pause(signal))
        try {
          if (waiting() === 0) write(sample(engine, id))
        } catch (error) {
          // The container has ended: so does the stream.
          if (isKind(error, 'not-found') || isKind(error, 'conflict')) return
          throw error
        }
    })
  },
})

const trace = route({
  method: 'GET',
  path: '/drydock/containers/{id}/trace',
  params: byId,
  handle: (engine, { params }) => {
    const { id } = engine.containers.get(params.id)
    const spans = engine.trace(id)
    if (spans.length === 0)
      throw new EngineError('not-found', `no trace of container ${id}: it has not been started since the engine was`)
    return json({
      Spans: spans.map(({ layer, name, start, end }) => ({ Layer: layer, Name: name, Start: start, End: end })),
    })
  },
})

const port = word
  .refine((value) => /^\d{1,5}$/.test(value) && Number(value) > 0 && Number(value) < 65536, {
    error: (issue) => `invalid port: ${JSON.stringify(issue.input)}`,
  })
  .transform(Number)

/** The connection is made before the switch: where nothing listens, the answer is an error. */
const dial = route({
  method: 'POST',
  path: '/drydock/containers/{id}/dial',
  takesOver: true,
  params: byId,
  query: z.object({ port }),
  handle: async (engine, { params, query }) => {
    const connection = await engine.containers.dial(params.id, query.port)
    return tunnel(async () => connection)
  },
})

const wanted = z.boolean().default(false)

const previewBody = goObject({
  Containers: wanted,
  Images: wanted,
  AllImages: wanted,
  Volumes: wanted,
  AllVolumes: wanted,
  Networks: wanted,
})

async function previewImages(engine: Engine, all: boolean): Promise<PrunePreview['Images']> {
  const before = new Map(engine.images.list().map((image) => [image.id, image]))
  const { deleted } = await engine.images.prune({ dangling: !all, filter: () => true, dryRun: true })
  const ids = deleted.flatMap((entry) => ('Deleted' in entry ? [entry.Deleted] : []))
  return ids.flatMap((id) => {
    const image = before.get(id)
    return image === undefined ? [] : [{ Id: id, Tags: image.tags, Bytes: image.size }]
  })
}

async function previewContainers(engine: Engine): Promise<PrunePreview['Containers']> {
  const { ids } = await engine.containers.prune({ filter: () => true, dryRun: true })
  return Promise.all(
    ids.map(async (id) => ({
      Id: id,
      Name: engine.containers.get(id).name,
      Bytes: (await engine.containers.size(id)).sizeRw,
    })),
  )
}

const previewVolumes = (engine: Engine, all: boolean): Promise<PrunePreview['Volumes']> =>
  Promise.all(
    unusedVolumes(engine, Filters.parse(all ? '{"all":["true"]}' : '')).map(async ({ name }) => ({
      Name: name,
      Bytes: await engine.volumes.usage(name),
    })),
  )

const preview = route({
  method: 'POST',
  path: '/drydock/prune/preview',
  body: previewBody,
  handle: async (engine, { body }) => {
    const found = {
      Containers: body.Containers ? await previewContainers(engine) : [],
      Images: body.Images || body.AllImages ? await previewImages(engine, body.AllImages) : [],
      Volumes: body.Volumes || body.AllVolumes ? await previewVolumes(engine, body.AllVolumes) : [],
      Networks: body.Networks
        ? unusedNetworks(engine, Filters.parse('')).map(({ id, name }) => ({ Id: id, Name: name }))
        : [],
    }
    const sized = [...found.Containers, ...found.Images, ...found.Volumes]
    return json({ ...found, Bytes: sized.reduce((sum, { Bytes }) => sum + Bytes, 0) } satisfies PrunePreview)
  },
})

export const drydockRoutes = [namespaces, containerNamespaces, cgroups, limits, trace, dial, preview]
