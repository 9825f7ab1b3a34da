/** Containers: what flows in and out of one: attach, logs, archives, export. */
import type { Duplex } from 'node:stream'
import * as z from 'zod'
import type { PathStat } from '../lifecycle/containers.ts'
import { bytes, empty, hijack } from './answer.ts'
import { atLeast } from './api-version.ts'
import { archiveAnswer } from './compressed-answer.ts'
import { decompressed } from './compressed-body.ts'
import { detachKeys } from './detach-key-text.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import { byId, flag, instant, word } from './query.schema.ts'
import { route } from './route.ts'

const attachQuery = z.object({ detachKeys: word, logs: flag, stream: flag, stdin: flag, stdout: flag, stderr: flag })

async function attached(
  engine: Engine,
  id: string,
  { detachKeys: keys, ...streams }: z.output<typeof attachQuery>,
): Promise<{ stream: Duplex; framed: boolean }> {
  const container = engine.containers.get(id)
  const detach = detachKeys(keys)
  const options = { ...streams, ...(detach === undefined ? {} : { detachKeys: detach }) }
  return { stream: await engine.containers.attach(container.id, options), framed: container.config.Tty !== true }
}

const attach = route({
  method: 'POST',
  path: '/containers/{id}/attach',
  takesOver: true,
  params: byId,
  query: attachQuery,
  handle: async (engine, { params, query }) => {
    const { stream, framed } = await attached(engine, params.id, query)
    return hijack(framed, async () => stream)
  },
})

const raw = 'application/vnd.docker.raw-stream'
const multiplexed = 'application/vnd.docker.multiplexed-stream'

/** `all`, negative and unreadable: everything. */
const tail = word.transform((value) => (/^\d+$/.test(value) ? Number(value) : undefined))

const logs = route({
  method: 'GET',
  path: '/containers/{id}/logs',
  params: byId,
  query: z.object({
    stdout: flag,
    stderr: flag,
    follow: flag,
    since: instant,
    until: instant,
    timestamps: flag,
    details: flag,
    tail,
  }),
  handle: (engine, { params, query: { since, until, tail: count, ...options }, request }) => {
    if (!options.stdout && !options.stderr) throw invalid('Bad parameters: you must choose at least one stream')
    const container = engine.containers.get(params.id)
    const framed = container.config.Tty !== true && atLeast(request.version, '1.42')
    const stream = engine.containers.logs(container.id, {
      ...options,
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...(count === undefined ? {} : { tail: count }),
    })
    return bytes(stream, framed ? multiplexed : raw)
  },
})

const exportRoot = route({
  method: 'GET',
  path: '/containers/{id}/export',
  params: byId,
  handle: async (engine, { params }) => bytes(await engine.containers.exportRoot(params.id), 'application/x-tar'),
})

const archivePath = word.refine((value) => value !== '', { error: 'path cannot be empty' })

/** Base64 of the standard alphabet, in a header that `docker cp` reads before it decides. */
const statHeader = (stat: PathStat): Record<string, string> => ({
  'X-Docker-Container-Path-Stat': Buffer.from(JSON.stringify(stat)).toString('base64'),
})

const statArchive = route({
  method: 'HEAD',
  path: '/containers/{id}/archive',
  params: byId,
  query: z.object({ path: archivePath }),
  handle: async (engine, { params, query }) =>
    empty(200, statHeader(await engine.containers.statPath(params.id, query.path))),
})

const readArchive = route({
  method: 'GET',
  path: '/containers/{id}/archive',
  params: byId,
  query: z.object({ path: archivePath }),
  handle: async (engine, { params, query, request }) => {
    const { stat, archive } = await engine.containers.readArchive(params.id, query.path)
    return archiveAnswer(archive, String(request.headers['accept-encoding'] ?? ''), statHeader(stat))
  },
})

const writeArchive = route({
  method: 'PUT',
  path: '/containers/{id}/archive',
  params: byId,
  query: z.object({ path: archivePath, noOverwriteDirNonDir: flag, copyUIDGID: flag }),
  body: 'raw',
  handle: async (engine, { params, query, request }) => {
    await engine.containers.writeArchive(params.id, query.path, await decompressed(request.stream), {
      noOverwriteDirNonDir: query.noOverwriteDirNonDir,
      copyUidGid: query.copyUIDGID,
    })
    return empty(200)
  },
})

/** Messages carry no frames of Docker's, whatever the container; before API 1.42 all three streams were in them; wire fact 38. */
const attachWebSocket = route({
  method: 'GET',
  path: '/containers/{id}/attach/ws',
  takesOver: true,
  params: byId,
  query: attachQuery,
  handle: async (engine, { params, query, request }) => {
    const chosen = atLeast(request.version, '1.42') ? query : { ...query, stdin: true, stdout: true, stderr: true }
    return { kind: 'web-socket', ...(await attached(engine, params.id, chosen)) }
  },
})

export const containerStreamRoutes = [attach, logs, exportRoot, statArchive, readArchive, writeArchive, attachWebSocket]
