/** The event journal: the last 256 events, and whoever listens. Wire facts 85–92. */

import { wallClock } from '../base/time.ts'

export type EventType = 'container' | 'image' | 'network' | 'volume' | 'daemon'

export type EngineEvent = {
  type: EventType
  action: string
  actor: { id: string; attributes: Record<string, string> }
  /** Nanoseconds since the epoch. */
  timeNano: bigint
}

const remembered = 256
const oneSecond = 1_000_000_000n

export class EventJournal {
  readonly #past: EngineEvent[] = []
  readonly #listeners = new Set<(event: EngineEvent) => void>()
  #last = 0n

  /** Records and tells every listener; a listener must not throw and must not block. */
  emit(type: EventType, action: string, id: string, attributes: Record<string, string> = {}): void {
    const event = { type, action, actor: { id, attributes }, timeNano: this.#now() }
    this.#past.push(event)
    if (this.#past.length > remembered) this.#past.shift()
    for (const listener of this.#listeners) listener(event)
  }

  /** Events of the memory, oldest first. */
  past(): readonly EngineEvent[] {
    return this.#past
  }

  listen(listener: (event: EngineEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Wall clock at nanosecond scale, never twice the same, so that order can be read from it, unless it was set back. */
  #now(): bigint {
    const now = BigInt(Math.round(wallClock() * 1000)) * 1000n
    const setBack = now < this.#last - oneSecond
    this.#last = now > this.#last || setBack ? now : this.#last + 1n
    return this.#last
  }
}
