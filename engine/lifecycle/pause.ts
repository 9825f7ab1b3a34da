/** Freezing all processes of a container, and letting them go on; wire fact 58. */
import { EngineError } from '../base/errors.ts'
import { announce, type Engine } from './engine.ts'
import { unwatchedHealth } from './health.ts'
import { unwatchHealth, watchHealth } from './health-watch.ts'
import { shimOf } from './shim-of.ts'
import { nextState } from './state-table.ts'

export async function pause(engine: Engine, reference: string): Promise<void> {
  const { id } = engine.table.get(reference)
  await engine.lock.run(id, async () => {
    const { run } = engine.table.byId(id)
    if (run.state === 'paused') throw new EngineError('conflict', `Container ${id} is already paused`)
    if (run.state === 'restarting')
      throw new EngineError('conflict', `Container ${id} is restarting, wait until the container is running`)
    const state = nextState(run.state, 'pause')
    if (state === undefined) throw new EngineError('conflict', `Container ${id} is not running`)
    await shimOf(engine, id).pause()
    unwatchHealth(engine, id)
    announce(engine, engine.table.update(id, { run: { state, ...unwatchedHealth(run.health) } }), 'pause')
  })
}

export async function unpause(engine: Engine, reference: string): Promise<void> {
  const { id } = engine.table.get(reference)
  await engine.lock.run(id, async () => {
    const state = nextState(engine.table.byId(id).run.state, 'unpause')
    if (state === undefined) throw new EngineError('internal', `Container ${id} is not paused`)
    await shimOf(engine, id).resume()
    announce(engine, engine.table.update(id, { run: { state } }), 'unpause')
    watchHealth(engine, id)
  })
}
