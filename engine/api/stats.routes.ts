/** Measurements of one container, once or each second. */
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { isKind } from '../base/errors.ts'
import type { Container } from '../lifecycle/container.ts'
import { json, lines } from './answer.ts'
import type { Stats } from './contract/docker.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import { byId, flag, flagOn } from './query.schema.ts'
import { route } from './route.ts'
import { emptyStats, machineLoad, statsView } from './stats-view.ts'

const second = 1000

/** Undefined for one that does not run. */
function measure(engine: Engine, container: Container, previous: Stats | undefined): Stats | undefined {
  try {
    const machine = machineLoad(readFileSync('/proc/stat', 'utf8'), totalmem())
    return statsView(container, engine.containers.sample(container.id), machine, previous)
  } catch (error) {
    if (isKind(error, 'not-found') || isKind(error, 'conflict')) return undefined
    throw error
  }
}

/** False when the client has gone meanwhile. */
export async function pause(signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(second, undefined, { signal })
    return true
  } catch {
    return false
  }
}

async function single(engine: Engine, container: Container, twice: boolean, signal: AbortSignal): Promise<Stats> {
  const first = measure(engine, container, undefined)
  if (first === undefined) return emptyStats(container)
  if (!twice || !(await pause(signal))) return first
  return measure(engine, container, first) ?? emptyStats(container)
}

const exists = (engine: Engine, id: string): boolean => {
  try {
    return engine.containers.get(id).id === id
  } catch {
    return false
  }
}

const stats = route({
  method: 'GET',
  path: '/containers/{id}/stats',
  params: byId,
  query: z.object({ stream: flagOn, 'one-shot': flag }),
  handle: async (engine, { params, query, request }) => {
    const container = engine.containers.get(params.id)
    if (query.stream && query['one-shot']) throw invalid('cannot have stream=true and one-shot=true')
    if (!query.stream) return json(await single(engine, container, !query['one-shot'], request.signal))
    return lines(async (write, signal, waiting) => {
      let previous: Stats | undefined
      do {
        previous = measure(engine, container, previous)
        // Who does not read gets the present values when it does again, and none in between.
        if (waiting() === 0) write(previous ?? emptyStats(container))
      } while ((await pause(signal)) && exists(engine, container.id))
    })
  },
})

export const statsRoutes = [stats]
