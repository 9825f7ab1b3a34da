/** What happens, as it happens. */
import * as z from 'zod'
import { longestTimer, wallClock } from '../base/time.ts'
import type { EngineEvent } from '../lifecycle/events.ts'
import { JsonText, lines, type WriteLine } from './answer.ts'
import type { Event } from './contract/docker.ts'
import { invalid } from './errors.ts'
import type { Filters } from './filters.ts'
import { filters, instant } from './query.schema.ts'
import { route } from './route.ts'

const known = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
]
/** Actions with a detail behind a colon; a filter names them without it. */
const detailed = ['exec_create', 'exec_start', 'health_status']
const objects = known.filter((key) => !['event', 'label', 'scope', 'type'].includes(key))

/** `id`, `status` and `from` are the form that older clients read. */
export function eventView(event: EngineEvent): Event {
  const { id, attributes } = event.actor
  const old = event.type === 'container' || event.type === 'image'
  return {
    ...(old ? { status: event.action, id } : {}),
    ...(event.type === 'container' ? { from: attributes.image ?? '' } : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    time: Number(event.timeNano / 1_000_000_000n),
    timeNano: Number(event.timeNano),
  }
}

function matchesAction(wanted: string, action: string): boolean {
  return wanted === action || (detailed.includes(wanted) && action.startsWith(wanted))
}

/** The object of an event by id or name, whole or a beginning of it. Images also by the container's image. */
function matchesObject(key: string, wanted: string, event: EngineEvent): boolean {
  const { id, attributes } = event.actor
  if (key === 'image' && event.type === 'container') return attributes.image === wanted
  if (event.type !== key) return false
  const bare = id.replace(/^sha256:/, '')
  return [id, bare, attributes.name ?? ''].some((candidate) => candidate !== '' && candidate.startsWith(wanted))
}

/** Keys are all needed, of a key's values one is enough; labels are all needed. */
export const matchesEvent = (wanted: Filters, event: EngineEvent): boolean =>
  wanted.any('type', (type) => type === event.type) &&
  wanted.any('event', (action) => matchesAction(action, event.action)) &&
  wanted.any('scope', (scope) => scope === 'local') &&
  wanted.labels(event.actor.attributes) &&
  objects.every((key) => wanted.any(key, (value) => matchesObject(key, value, event)))

const texts = new WeakMap<EngineEvent, string>()

/** The same for all who listen. */
function textOf(event: EngineEvent): string {
  const known = texts.get(event) ?? JSON.stringify(eventView(event))
  texts.set(event, known)
  return known
}

/**
 * Hands on together what happens in one turn of the event loop: with many listeners the writes cost more than all else
 * of an event.
 */
class Bundle implements Disposable {
  readonly #write: WriteLine
  #texts: string[] = []

  constructor(write: WriteLine) {
    this.#write = write
  }

  add(text: string): void {
    if (this.#texts.push(text) === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    if (this.#texts.length > 0) this.#write(new JsonText(this.#texts.join('\n')))
    this.#texts = []
  }

  [Symbol.dispose](): void {
    this.#flush()
  }
}

const nanoseconds = (seconds: number): bigint => BigInt(Math.round(seconds * 1e6)) * 1000n

/** Bytes that a slow client may have waiting: what happens meanwhile it never hears of, as with dockerd, which counts to 1024. */
const longestQueue = 1 << 20

/** Milliseconds. */
const justNow = 2000

/**
 * Clients call `docker events --filter event=start` and `docker run` side by side and wait for the start, as Dev Containers
 * does: here it is over before the first of the two has connected, and they would wait for ever. So who wants to hear of
 * starts and nothing else is told of the latest as well; docs/decisions/0019.
 */
function justBefore(wanted: Filters): bigint | undefined {
  const actions = wanted.get('event')
  return actions.length > 0 && actions.every((action) => action === 'start')
    ? nanoseconds((wallClock() - justNow) / 1000)
    : undefined
}

const events = route({
  method: 'GET',
  path: '/events',
  query: z.object({ since: instant, until: instant, filters }),
  handle: (engine, { query }) => {
    const wanted = query.filters.only(...known)
    const { since, until } = query
    if (since !== undefined && until !== undefined && until < since)
      throw invalid('`since` time cannot be after `until` time')
    return lines(async (write, signal, waiting) => {
      const last = until === undefined ? undefined : nanoseconds(until)
      using bundle = new Bundle(write)
      const show = (event: EngineEvent): void => {
        if (last !== undefined && event.timeNano > last) return
        if (matchesEvent(wanted, event)) bundle.add(textOf(event))
      }
      // Nothing is lost between the memory and what comes: no event can happen before the next await.
      using _listening = engine.events.listen((event) => {
        if (waiting() < longestQueue) show(event)
      })
      const from = since === undefined ? justBefore(wanted) : nanoseconds(since)
      if (from !== undefined) for (const event of engine.events.past()) if (event.timeNano >= from) show(event)
      if (until === undefined) await gone(signal)
      else await gone(signal, until * 1000 - Date.now())
    })
  },
})

/** Resolves when the client has gone, or after some milliseconds. */
async function gone(signal: AbortSignal, milliseconds = Number.POSITIVE_INFINITY): Promise<void> {
  if (signal.aborted || milliseconds <= 0) return
  await new Promise<void>((resolve) => {
    // setTimeout takes no more than 24 days: a client that waits longer is cut off then.
    const timer = Number.isFinite(milliseconds) ? setTimeout(resolve, Math.min(milliseconds, longestTimer)) : undefined
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}

export const eventRoutes = [events]
