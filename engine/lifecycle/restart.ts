/** Starting again: on request, and by policy when the wait is over; wire facts 51–53. */
import { messageOf } from '../base/errors.ts'
import { announce, type Engine } from './engine.ts'
import { start, startLocked } from './start.ts'
import { hasProcess } from './state-table.ts'
import { type StopOptions, stopProcess } from './stop.ts'

/** Stops it if it runs, and starts it: no AutoRemove and no restart policy in between. */
export async function restart(engine: Engine, reference: string, options: StopOptions): Promise<void> {
  const { id } = engine.table.get(reference)
  engine.restarting.add(id)
  try {
    if (hasProcess(engine.table.byId(id).run.state)) {
      await stopProcess(engine, id, options)
      announce(engine, engine.table.byId(id), 'stop')
    }
    await start(engine, id)
  } finally {
    engine.restarting.delete(id)
  }
  announce(engine, engine.table.byId(id), 'restart')
}

/** The wait of a restart policy is over. Never rejects: nobody waits for it. */
export async function startAgain(engine: Engine, id: string): Promise<void> {
  try {
    await engine.lock.run(id, async () => {
      const container = engine.table.find(id)
      if (engine.closing || container?.run.state !== 'restarting') return
      await startLocked(engine, id, { restartCount: container.run.restartCount + 1 })
    })
  } catch (error) {
    engine.report(`restarting container ${id}: ${messageOf(error)}`)
  }
}
