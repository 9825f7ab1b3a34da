/** A signal to a container's process; wire fact 49. */
import { EngineError } from '../base/errors.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import type { Engine } from './engine.ts'
import { signalNumber } from './signal.ts'
import { hasProcess } from './state-table.ts'
import { callOffStart, giveUpRestart, killProcess, send } from './stop.ts'

/** SIGKILL returns after the exit is recorded, any other signal at once. Takes no lock. */
export async function kill(engine: Engine, reference: string, signal: string): Promise<void> {
  const container = engine.table.get(reference)
  const { id } = container
  const number = signalNumber(signal || 'SIGKILL')
  if (engine.starting.has(id) && number === signalNumbers.SIGKILL) return callOffStart(engine, id)
  if (container.run.state === 'restarting') return giveUpRestart(engine, id)
  if (!hasProcess(container.run.state))
    throw new EngineError('conflict', `cannot kill container: ${reference}: container ${id} is not running`)
  if (number === signalNumbers.SIGKILL) return killProcess(engine, id)
  if (number === signalNumber(container.config.StopSignal || 'SIGTERM')) engine.stopping.add(id)
  await send(engine, container, number)
}
