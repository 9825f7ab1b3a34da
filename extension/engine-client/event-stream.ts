import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineEvent } from './engine-event.ts'
import { linesOf } from './lines.ts'

export type EventSource = {
  /** Opens `GET /events`; resolves once the response head is there. `since` is seconds with nanoseconds. */
  open(since: string | undefined, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
}

export type EventListener = {
  /** The stream stands (again). Whatever was listed before may be out of date. */
  connected(): void
  event(event: EngineEvent): void
  /** The stream ended; another attempt follows in `retryMs`. */
  lost(error: unknown, retryMs: number): void
}

const firstDelay = 250
const longestDelay = 15_000

/** 250 ms, doubled with each attempt, never above 15 s. */
export const delayOf = (attempt: number): number => Math.min(longestDelay, firstDelay * 2 ** Math.min(attempt, 16))

/** `timeNano` is above what a JavaScript number holds: it is read from the text. Null where there is none. */
export function timeOf(line: string): bigint | null {
  const digits = /"timeNano"\s*:\s*(\d+)/.exec(line)?.[1]
  return digits === undefined ? null : BigInt(digits)
}

/** Docker's form of a point in time: `1700000000.000000001`. */
export const sinceOf = (nanos: bigint): string =>
  `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, '0')}`

/**
 * Follows the engine's events until `signal` aborts. After a cut it connects again and asks for what was missed;
 * an event that the replay brings a second time is told once.
 */
export async function followEvents(source: EventSource, listener: EventListener, signal: AbortSignal): Promise<void> {
  let last: bigint | null = null
  let attempt = 0
  while (!signal.aborted) {
    let cause: unknown = new Error('The engine ended the event stream.')
    try {
      const chunks = await source.open(last === null ? undefined : sinceOf(last), signal)
      attempt = 0
      listener.connected()
      for await (const line of linesOf(chunks)) {
        const time = timeOf(line)
        if (line.trim() === '' || (time !== null && last !== null && time <= last)) continue
        last = time ?? last
        listener.event(JSON.parse(line) as EngineEvent)
      }
    } catch (error) {
      cause = error
    }
    if (signal.aborted) return
    const wait = delayOf(attempt++)
    listener.lost(cause, wait)
    await sleep(wait, undefined, { signal }).catch(() => undefined)
  }
}
