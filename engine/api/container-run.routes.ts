/** Containers: their life from start to end. */
import * as z from 'zod'
import { now } from '../trace/trace.ts'
import { empty, lines } from './answer.ts'
import { invalid } from './errors.ts'
import { byId, integer, word } from './query.schema.ts'
import { type ApiRequest, route } from './route.ts'

/** Docker took a HostConfig here once; what is sent now must be nothing. */
function refuseStartBody(request: ApiRequest): void {
  if (Number(request.headers['content-length'] ?? 0) > 7)
    throw invalid('starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24')
}

const start = route({
  method: 'POST',
  path: '/containers/{id}/start',
  params: byId,
  handle: async (engine, { params, request }) => {
    refuseStartBody(request)
    const begun = now()
    await engine.containers.start(params.id)
    engine.trace(params.id).unshift({ layer: 'api', name: 'POST /containers/{id}/start', start: begun, end: now() })
    return empty(204)
  },
})

/** `stop` and `restart`: how the process ends. */
const ending = (verb: 'stop' | 'restart') =>
  route({
    method: 'POST',
    path: `/containers/{id}/${verb}`,
    params: byId,
    query: z.object({ t: integer, signal: word }),
    handle: async (engine, { params, query: { t, signal } }) => {
      await engine.containers[verb](params.id, {
        ...(t === undefined ? {} : { timeout: t }),
        ...(signal === '' ? {} : { signal }),
      })
      return empty(204)
    },
  })

const kill = route({
  method: 'POST',
  path: '/containers/{id}/kill',
  params: byId,
  query: z.object({ signal: word }),
  handle: async (engine, { params, query }) => {
    await engine.containers.kill(params.id, query.signal || 'SIGKILL')
    return empty(204)
  },
})

const pause = route({
  method: 'POST',
  path: '/containers/{id}/pause',
  params: byId,
  handle: async (engine, { params }) => {
    await engine.containers.pause(params.id)
    return empty(204)
  },
})

const unpause = route({
  method: 'POST',
  path: '/containers/{id}/unpause',
  params: byId,
  handle: async (engine, { params }) => {
    await engine.containers.unpause(params.id)
    return empty(204)
  },
})

const condition = word
  .refine((value) => ['', 'not-running', 'next-exit', 'removed'].includes(value), {
    error: (issue) => `invalid condition: ${JSON.stringify(issue.input)}`,
  })
  .transform((value) => (value === '' ? 'not-running' : value) as 'not-running' | 'next-exit' | 'removed')

/** The waiter is registered before the status goes out: `docker run` starts the container when it has seen that. */
const wait = route({
  method: 'POST',
  path: '/containers/{id}/wait',
  params: byId,
  query: z.object({ condition }),
  handle: (engine, { params, query }) => {
    const waiter = engine.containers.wait(params.id, query.condition)
    return lines(async (write, signal) => {
      signal.addEventListener('abort', () => waiter.cancel(), { once: true })
      if (signal.aborted) return waiter.cancel()
      const { statusCode, error } = await waiter.result
      write({ StatusCode: statusCode, ...(error === undefined ? {} : { Error: { Message: error } }) })
    })
  },
})

export const containerRunRoutes = [start, ending('stop'), ending('restart'), kill, pause, unpause, wait]
