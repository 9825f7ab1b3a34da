/** Ending a container's process, kindly at first; wire fact 48. */
import { setTimeout as sleep } from 'node:timers/promises'
import { EngineError } from '../base/errors.ts'
import { longestTimer } from '../base/time.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import type { Container } from './container.ts'
import { announce, cgroupPath, type Engine } from './engine.ts'
import { watchHealth } from './health-watch.ts'
import { cancelRestart } from './restart-timer.ts'
import { signalNumber } from './signal.ts'
import { hasProcess } from './state-table.ts'

export type StopOptions = { timeout?: number; signal?: string }

const defaultTimeout = 10

/**
 * Returns when the exit is recorded. Takes no lock: a start that hangs is called off, a process that does not end is
 * waited for without keeping `kill` or `remove` out.
 */
export async function stop(engine: Engine, reference: string, options: StopOptions): Promise<void> {
  const { id } = engine.table.get(reference)
  stopSignal(engine.table.byId(id), options)
  if (engine.starting.has(id)) return callOffStart(engine, id)
  if (engine.table.byId(id).run.state === 'restarting') return giveUpRestart(engine, id)
  if (!hasProcess(engine.table.byId(id).run.state))
    throw new EngineError('not-modified', `container ${id} is not running`)
  await stopProcess(engine, id, options)
  const after = engine.table.find(id)
  if (after !== undefined) announce(engine, after, 'stop')
}

const stopSignal = ({ config }: Container, options: StopOptions): number =>
  signalNumber(options.signal || config.StopSignal || 'SIGTERM')

/** Ends a start that is under way, and waits until it has undone what it did. */
export async function callOffStart(engine: Engine, id: string): Promise<void> {
  engine.starting.get(id)?.abort()
  await engine.lock.run(id, () => {})
}

/** A container that waits for its restart has no process: it is just not started again. */
export async function giveUpRestart(engine: Engine, id: string): Promise<void> {
  cancelRestart(engine, id)
  await engine.lock.run(id, () => {
    const container = engine.table.find(id)
    if (container?.run.state === 'restarting')
      engine.table.update(id, { run: { state: 'exited', manuallyStopped: true } })
  })
}

/** Precondition: it has a process. */
export async function stopProcess(engine: Engine, id: string, options: StopOptions): Promise<void> {
  const container = engine.table.byId(id)
  const signal = stopSignal(container, options)
  const timeout = options.timeout ?? container.config.StopTimeout ?? defaultTimeout
  engine.stopping.add(id)
  if (timeout !== 0) {
    await send(engine, container, signal)
    if (await ended(engine, id, timeout < 0 ? undefined : timeout * 1000)) return
  }
  await killProcess(engine, id)
}

/** SIGKILL, with all that the kernel offers for a process that does not go. */
export async function killProcess(engine: Engine, id: string): Promise<void> {
  const container = engine.table.byId(id)
  engine.stopping.add(id)
  await send(engine, container, signalNumbers.SIGKILL)
  if (await ended(engine, id, 10_000)) return
  await Promise.race([
    engine.shims
      .get(id)
      ?.killAll()
      .catch(() => {}),
    sleep(2000, undefined, { ref: false }),
  ])
  if (await ended(engine, id, 2000)) return
  engine.cgroups.group(cgroupPath(engine, container)).kill(2000)
  if (!(await ended(engine, id, 2000)))
    throw new EngineError('internal', `cannot stop container ${id}: its process did not end after SIGKILL`)
}

/**
 * One that is paused is resumed, so that the signal lands. One that has just ended is no error: on cgroup v2 SIGKILL
 * ends frozen processes, too, and their group may be gone before it is thawed.
 */
export async function send(engine: Engine, container: Container, signal: number): Promise<void> {
  const shim = engine.shims.get(container.id)
  announce(engine, container, 'kill', { signal: String(signal) })
  try {
    await shim?.kill(signal)
  } catch (error) {
    if (!(error instanceof EngineError && error.kind === 'not-found')) throw error
  }
  if (engine.table.find(container.id)?.run.state === 'paused') {
    try {
      await shim?.resume()
    } catch (error) {
      if (!(await ended(engine, container.id, 2000))) throw error
    }
    if (engine.table.find(container.id)?.run.state === 'paused') {
      engine.table.update(container.id, { run: { state: 'running' } })
      watchHealth(engine, container.id)
    }
  }
}

/** Whether the exit has been recorded within so many milliseconds; undefined waits for ever. */
async function ended(engine: Engine, id: string, timeout: number | undefined): Promise<boolean> {
  const exit = engine.exits.get(id)
  if (exit === undefined) return true
  if (timeout === undefined) return exit.then(() => true)
  const patience = new AbortController()
  const late = sleep(Math.min(timeout, longestTimer), false, { signal: patience.signal }).catch(() => false)
  const result = await Promise.race([exit.then(() => true), late])
  patience.abort()
  return result
}
