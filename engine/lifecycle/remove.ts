/** Removal: one transaction takes the container away, then its leftovers go; wire facts 55 and 56. */
import { rm } from 'node:fs/promises'
import { EngineError } from '../base/errors.ts'
import { dropPending } from './attach.ts'
import type { Container } from './container.ts'
import { announce, bundleDirectory, type Engine, stateDirectory } from './engine.ts'
import { attempt } from './forget-bundle.ts'
import { writeLeftovers } from './leftovers.ts'
import { disconnectNetworks } from './network-setup.ts'
import { isRunning } from './state-table.ts'
import { callOffStart, giveUpRestart, killProcess } from './stop.ts'
import { usersOfVolume } from './volume-use.ts'

export async function remove(
  engine: Engine,
  reference: string,
  options: { force: boolean; volumes: boolean },
): Promise<void> {
  const { id } = engine.table.get(reference)
  if (engine.removing.has(id))
    throw new EngineError('conflict', `removal of container ${reference} is already in progress`)
  engine.removing.add(id)
  try {
    await makeStopped(engine, reference, id, options.force)
    await engine.lock.run(id, () => removeLocked(engine, id, options))
  } finally {
    engine.removing.delete(id)
  }
}

async function makeStopped(engine: Engine, reference: string, id: string, force: boolean): Promise<void> {
  const { state } = engine.table.byId(id).run
  if (!force && (isRunning(state) || engine.starting.has(id))) {
    const [what, how] =
      state === 'paused'
        ? ['paused', 'unpause the container before removing or force remove']
        : state === 'restarting'
          ? ['restarting', 'stop the container before removing or force remove']
          : ['running', 'stop the container before removing or force remove']
    throw new EngineError('conflict', `cannot remove container "${reference}": container is ${what}: ${how}`)
  }
  if (engine.starting.has(id)) await callOffStart(engine, id)
  if (engine.table.find(id)?.run.state === 'restarting') await giveUpRestart(engine, id)
  if (engine.shims.has(id)) await killProcess(engine, id)
}

/**
 * What is to go is written down first, then the row goes, then the rest: a daemon that is killed in between finds the
 * note and finishes (recover.ts). Nothing that comes after the row can fail the removal.
 *
 * Precondition: the caller holds the container's lock, and the container has no process.
 */
export async function removeLocked(engine: Engine, id: string, options: { volumes: boolean }): Promise<void> {
  const container = engine.table.find(id)
  if (container === undefined) throw new EngineError('not-found', `No such container: ${id}`)
  if (engine.shims.has(id))
    throw new EngineError('conflict', `cannot remove container "${id}": container is running: stop the container first`)
  const volumes = options.volumes ? anonymousVolumes(container) : []
  if (container.mounts.some((mount) => mount.anonymous === true)) writeLeftovers(engine, id, volumes)
  engine.table.delete(id)
  dropPending(engine, id)
  engine.execs.forget(id)
  engine.traces.delete(id)
  engine.restarts.delete(id)
  await attempt(engine, `disconnecting container ${id}`, () => disconnectNetworks(engine, container))
  await removeLeftovers(engine, id, volumes)
  announce(engine, container, 'destroy')
  engine.waiters.removed(id, { statusCode: container.run.exitCode })
}

const anonymousVolumes = ({ mounts }: Container): string[] =>
  mounts.flatMap((mount) => (mount.anonymous === true && mount.Name !== undefined ? [mount.Name] : []))

/** Everything of a container that has no row (any more). Safe to repeat. */
export async function removeLeftovers(engine: Engine, id: string, volumes: readonly string[]): Promise<void> {
  await attempt(engine, `removing the snapshot of ${id}`, () => engine.snapshotter.remove(id))
  for (const name of volumes)
    await attempt(engine, `removing volume ${name}`, async () => {
      await engine.volumes.remove(name, { force: true, usedBy: usersOfVolume(engine, name) })
      engine.events.emit('volume', 'destroy', name, { driver: 'local' })
    })
  await attempt(engine, `removing the bundle of ${id}`, () =>
    rm(bundleDirectory(engine, id), { recursive: true, force: true }),
  )
  // Last: while it is there, the next daemon knows that something may be left.
  await attempt(engine, `removing the directory of ${id}`, () =>
    rm(stateDirectory(engine, id), { recursive: true, force: true }),
  )
}
