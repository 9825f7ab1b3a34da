/** Images that come and go: pull, push, load, save, import. */
import * as z from 'zod'
import type { OnProgress } from '../images/image.ts'
import { type Answer, bytes, json, progress, type WriteLine } from './answer.ts'
import { decompressed } from './compressed-body.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import { platform, platforms, platformText, requirePlatform, type WantedPlatform } from './image-platform.ts'
import { joinReference } from './images.routes.ts'
import { byName, flagOn, word, words } from './query.schema.ts'
import { authBody, authOption } from './registry-auth.ts'
import { type ApiRequest, route } from './route.ts'

const createQuery = z.object({
  fromImage: word,
  fromSrc: word,
  repo: word,
  tag: word,
  message: word,
  platform: word,
  changes: words,
})

/** Counters that a slow client has no room for are left out: the next one says more. */
const reporter = (write: WriteLine): OnProgress => {
  let keepsUp = true
  return (message) => {
    const counter = message.progressDetail?.current !== undefined
    if (counter && !keepsUp) {
      keepsUp = true
      return
    }
    keepsUp = write(message)
  }
}

function pull(engine: Engine, query: z.output<typeof createQuery>, request: ApiRequest): Answer {
  const platform = query.platform === '' ? {} : { platform: query.platform }
  return progress(async (write, signal) => {
    const options = {
      ...platform,
      ...authOption(request.headers['x-registry-auth']),
      progress: reporter(write),
      signal,
    }
    // Without any tag, `docker pull -a`: all of the repository's.
    const named = query.tag !== '' || /:[^/]*$|@/.test(query.fromImage)
    if (named) await engine.images.pull(joinReference(query.fromImage, query.tag), options)
    else await engine.images.pullAll(query.fromImage, options)
  })
}

function importArchive(engine: Engine, query: z.output<typeof createQuery>, request: ApiRequest): Answer {
  return progress(async (write, signal) => {
    const archive =
      query.fromSrc === '-'
        ? request.stream
        : await engine.images.fetchArchive(query.fromSrc, { progress: reporter(write), signal })
    const image = await engine.images.import(await decompressed(archive), {
      ...(query.repo === '' ? {} : { reference: joinReference(query.repo, query.tag) }),
      message: query.message || `Imported from ${query.fromSrc}`,
      ...(query.platform === '' ? {} : { platform: query.platform }),
      changes: query.changes,
      signal,
    })
    write({ status: image.id })
  })
}

const create = route({
  method: 'POST',
  path: '/images/create',
  query: createQuery,
  body: 'raw',
  handle: (engine, { query, request }) => {
    if (query.fromImage !== '') return pull(engine, query, request)
    if (query.fromSrc !== '') return importArchive(engine, query, request)
    throw invalid('one of the parameters fromImage and fromSrc is needed')
  },
})

const push = route({
  method: 'POST',
  path: '/images/{name}/push',
  params: byName,
  query: z.object({ tag: word, platform }),
  handle: (engine, { params, query, request }) =>
    progress(async (write, signal) => {
      const name = joinReference(params.name, query.tag)
      if (query.platform !== undefined) requirePlatform(engine.images.get(name), query.platform, name)
      const auth = authOption(request.headers['x-registry-auth'])
      await engine.images.push(name, { ...auth, progress: reporter(write), signal })
    }),
})

const load = route({
  method: 'POST',
  path: '/images/load',
  query: z.object({ quiet: flagOn, platform: platforms }),
  body: 'raw',
  handle: (engine, { query, request }) =>
    progress(async (write, signal) => {
      const [wanted, ...more] = query.platform.map(platformText)
      if (more.length > 0) throw invalid('an image is kept for one platform here: ask for one')
      const archive = await decompressed(request.stream)
      const options = { quiet: query.quiet, progress: reporter(write), signal }
      await engine.images.load(archive, { ...options, ...(wanted === undefined ? {} : { platform: wanted }) })
    }),
})

const saved = async (engine: Engine, names: string[], wanted: readonly WantedPlatform[]): Promise<Answer> => {
  for (const name of names) for (const one of wanted) requirePlatform(engine.images.get(name), one, name)
  const stream = await engine.images.save(names)
  return bytes(stream as import('node:stream').Readable, 'application/x-tar')
}

const saveMany = route({
  method: 'GET',
  path: '/images/get',
  query: z.object({ names: words, platform: platforms }),
  handle: (engine, { query }) => {
    const names = query.names.flatMap((text) => text.split(',')).filter((name) => name !== '')
    if (names.length === 0) throw invalid('no images to save: the parameter names is empty')
    return saved(engine, names, query.platform)
  },
})

const saveOne = route({
  method: 'GET',
  path: '/images/{name}/get',
  params: byName,
  query: z.object({ platform: platforms }),
  handle: (engine, { params, query }) => saved(engine, [params.name], query.platform),
})

const auth = route({
  method: 'POST',
  path: '/auth',
  body: authBody,
  handle: async (engine, { body, request }) => {
    await engine.images.login(body, request.signal)
    return json({ Status: 'Login Succeeded', IdentityToken: '' })
  },
})

/** What the registry has, without pulling it. */
const distribution = route({
  method: 'GET',
  path: '/distribution/{name}/json',
  params: byName,
  handle: async (engine, { params, request }) => {
    const options = { ...authOption(request.headers['x-registry-auth']), signal: request.signal }
    const { descriptor, platforms: found } = await engine.images.remote(params.name, options)
    return json({
      Descriptor: descriptor,
      Platforms: found.map(({ variant, ...rest }) => (variant === '' ? rest : { ...rest, variant })),
    })
  },
})

export const imageTransferRoutes = [create, push, load, saveMany, saveOne, auth, distribution]
