/** What all kinds of prune have in common: one at a time, and an event that says what it brought. */
import { EngineError } from '../base/errors.ts'
import type { EventType } from '../lifecycle/events.ts'
import type { Engine } from './engine.ts'

const running = new WeakMap<Engine, Set<EventType>>()

/** conflict while one of the same kind goes on. `bytes`: what was freed on the disk. */
export async function pruneOnce<T extends { bytes: number }>(
  engine: Engine,
  type: EventType,
  prune: () => Promise<T>,
): Promise<T> {
  const kinds = running.get(engine) ?? new Set()
  running.set(engine, kinds)
  if (kinds.has(type)) throw new EngineError('conflict', 'a prune operation is already running')
  kinds.add(type)
  try {
    const pruned = await prune()
    engine.events.emit(type, 'prune', '', { reclaimed: String(pruned.bytes) })
    return pruned
  } finally {
    kinds.delete(type)
  }
}
