/** Waiting for a container's end; wire facts 40–42 and 56. Takes no lock. */
import type { WaitCondition, WaitResult } from './containers.ts'
import type { Engine } from './engine.ts'
import { isRunning } from './state-table.ts'

/** Registered when it returns: an exit right after is not missed. */
export function wait(
  engine: Engine,
  reference: string,
  condition: WaitCondition,
): { result: Promise<WaitResult>; cancel(): void } {
  const { id, run } = engine.table.get(reference)
  if (condition === 'not-running' && !isRunning(run.state) && !engine.starting.has(id)) {
    const result: WaitResult =
      run.error === '' ? { statusCode: run.exitCode } : { statusCode: run.exitCode, error: run.error }
    return { result: Promise.resolve(result), cancel: () => {} }
  }
  return engine.waiters.add(id, condition)
}
