/** What happens when a container's process has ended; wire facts 41, 52, 55, 56, 91. */
import { messageOf } from '../base/errors.ts'
import type { ProcessExit, Shim } from '../shim/shim.ts'
import { dropPending } from './attach.ts'
import type { Container } from './container.ts'
import { announce, type Engine } from './engine.ts'
import { attempt, forgetBundle } from './forget-bundle.ts'
import { unwatchedHealth } from './health.ts'
import { unwatchHealth } from './health-watch.ts'
import { announceNetwork, disconnectNetworks } from './network-setup.ts'
import { removeLocked } from './remove.ts'
import { nextDelay, wantsRestart } from './restart-policy.ts'
import { scheduleRestart } from './restart-timer.ts'
import { announceVolumes } from './volume-use.ts'

/** From now on the exit of this shim's process is dealt with, once. */
export function watchExit(engine: Engine, id: string, shim: Shim): void {
  const handled = shim.exited
    .then(async (exit) => {
      if (!engine.closing) await engine.lock.run(id, () => handleExit(engine, id, exit, shim))
    })
    .catch((error: unknown) => engine.report(`the exit of container ${id}: ${messageOf(error)}`))
    .finally(() => {
      if (engine.exits.get(id) === handled) engine.exits.delete(id)
    })
  engine.exits.set(id, handled)
}

/**
 * Gives back what only a running container has, then records, then tells. The bundle goes last: until the record is
 * durable, it is where the next daemon would find the exit code.
 *
 * Precondition: the caller holds the container's lock.
 */
export async function handleExit(engine: Engine, id: string, exit: ProcessExit, shim?: Shim): Promise<void> {
  const before = engine.table.find(id)
  if (before === undefined) return
  engine.shims.delete(id)
  unwatchHealth(engine, id)
  await attempt(engine, `disconnecting container ${id}`, () => disconnectNetworks(engine, before))
  for (const endpoint of before.endpoints) announceNetwork(engine, 'disconnect', before, endpoint)
  announceVolumes(engine, 'unmount', before)
  const again = restartAgain(engine, before, exit)
  const after = record(engine, before, exit, again)
  announce(engine, after, 'die', { exitCode: String(exit.exitCode), execDuration: String(secondsOf(before, exit)) })
  dropPending(engine, id)
  engine.waiters.exited(id, { statusCode: exit.exitCode })
  await forgetBundle(engine, before, exit.shimLost === true ? undefined : shim)
  if (again) {
    const ranFor = Date.parse(exit.exitedAt) - Date.parse(before.run.startedAt)
    scheduleRestart(engine, id, nextDelay(engine.restarts.get(id)?.delay, ranFor))
    return
  }
  engine.restarts.delete(id)
  if (after.hostConfig.AutoRemove === true && !engine.restarting.has(id) && !engine.removing.has(id))
    await removeLocked(engine, id, { volumes: true })
}

const secondsOf = (container: Container, exit: ProcessExit): number =>
  Math.max(0, Math.floor((Date.parse(exit.exitedAt) - Date.parse(container.run.startedAt)) / 1000))

function restartAgain(engine: Engine, container: Container, exit: ProcessExit): boolean {
  const { id, run, hostConfig } = container
  if (engine.restarting.has(id) || engine.removing.has(id)) return false
  const manuallyStopped = run.manuallyStopped || engine.stopping.has(id)
  return wantsRestart(hostConfig.RestartPolicy, {
    exitCode: exit.exitCode,
    manuallyStopped,
    restartCount: run.restartCount,
  })
}

function record(engine: Engine, container: Container, exit: ProcessExit, again: boolean): Container {
  const { id, run } = container
  return engine.table.update(id, {
    endpoints: [],
    run: {
      state: again ? 'restarting' : 'exited',
      pid: 0,
      exitCode: exit.exitCode,
      error: exit.shimLost === true ? 'the supervisor of the container ended unexpectedly' : '',
      oomKilled: exit.oomKilled,
      finishedAt: exit.exitedAt,
      manuallyStopped: run.manuallyStopped || engine.stopping.has(id),
      ...unwatchedHealth(run.health),
    },
  })
}
