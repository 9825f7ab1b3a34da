/** Removing every container that does not run; wire fact 114. */
import { EngineError, isKind } from '../base/errors.ts'
import type { Container } from './container.ts'
import type { Engine } from './engine.ts'
import { remove } from './remove.ts'
import { isRunning } from './state-table.ts'

const pruning = new WeakSet<Engine>()

/** conflict while another one goes on. `dryRun` only tells. */
export async function prune(
  engine: Engine,
  options: { filter: (container: Container) => boolean; dryRun?: boolean },
): Promise<{ ids: string[]; bytes: number }> {
  const candidates = engine.table
    .list()
    .filter(
      (container) => !isRunning(container.run.state) && !engine.starting.has(container.id) && options.filter(container),
    )
  if (options.dryRun === true) {
    const sizes = await Promise.all(candidates.map(({ id }) => engine.snapshotter.usage(id)))
    return { ids: candidates.map(({ id }) => id), bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0) }
  }
  if (pruning.has(engine)) throw new EngineError('conflict', 'a prune operation is already running')
  pruning.add(engine)
  try {
    return await removeAll(engine, candidates)
  } finally {
    pruning.delete(engine)
  }
}

async function removeAll(engine: Engine, candidates: readonly Container[]): Promise<{ ids: string[]; bytes: number }> {
  const ids: string[] = []
  let bytes = 0
  for (const { id } of candidates) {
    try {
      const usage = await engine.snapshotter.usage(id)
      await remove(engine, id, { force: false, volumes: false })
      ids.push(id)
      bytes += usage.bytes
    } catch (error) {
      // Started or removed meanwhile: then it is not ours to prune.
      if (!isKind(error, 'conflict') && !isKind(error, 'not-found')) throw error
    }
  }
  return { ids, bytes }
}
