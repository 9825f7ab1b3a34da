/**
 * What a new daemon does about the containers of the last one: finds their supervisors again, learns of ends that it
 * missed, finishes or undoes what was half done, and starts what its policy wants to run; wire fact 54.
 */
import { join } from 'node:path'
import { messageOf } from '../base/errors.ts'
import { timestamp } from '../base/time.ts'
import type { ProcessExit, Shim } from '../shim/shim.ts'
import type { Container } from './container.ts'
import { bundleDirectory, cgroupPath, type Engine } from './engine.ts'
import { handleExit, watchExit } from './exit.ts'
import { attempt, forgetBundle } from './forget-bundle.ts'
import { watchHealth } from './health-watch.ts'
import { containerDirectories, readLeftovers } from './leftovers.ts'
import { currentEndpoints, disconnectNetworks } from './network-setup.ts'
import { removeLeftovers, removeLocked } from './remove.ts'
import { wantsStartAtBoot } from './restart-policy.ts'
import { startLocked } from './start.ts'
import { hasProcess, isRunning } from './state-table.ts'

/** Once, before anything else is asked of the engine, and after the networks were recovered with `liveContainers`. */
export async function recover(engine: Engine): Promise<void> {
  await removeHalfDone(engine)
  const ran = engine.table.list().filter(({ run }) => isRunning(run.state))
  await Promise.all(ran.filter(({ run }) => hasProcess(run.state)).map((container) => findAgain(engine, container)))
  await Promise.all(engine.table.list().map((container) => undoHalfStart(engine, container)))
  await finishAutoRemove(engine)
  for (const { id } of ran) void startAtBoot(engine, id)
  for (const container of engine.table.list()) {
    const { Name } = container.hostConfig.RestartPolicy ?? { Name: '' }
    if (Name === 'always' && container.run.state === 'exited' && !ran.some(({ id }) => id === container.id))
      void startAtBoot(engine, container.id)
  }
}

/** Containers whose supervisor answers: their network is in use. Asked before `recover`, by the networks. */
export async function liveContainers(engine: Engine): Promise<Set<string>> {
  const live = new Set<string>()
  await Promise.all(
    engine.table
      .list()
      .filter(({ run }) => hasProcess(run.state))
      .map(async ({ id }) => {
        const shim = await engine.supervisors.find(bundleDirectory(engine, id))
        if (shim !== undefined) {
          engine.shims.set(id, shim)
          live.add(id)
        }
      }),
  )
  return live
}

/** The last daemon was killed between the end of a container and its removal. */
async function finishAutoRemove(engine: Engine): Promise<void> {
  for (const { id, run, hostConfig } of engine.table.list())
    if (run.state === 'exited' && hostConfig.AutoRemove === true)
      await attempt(engine, `removing container ${id}`, () =>
        engine.lock.run(id, () => removeLocked(engine, id, { volumes: true })),
      )
}

/** A directory without a row: a creation that was not finished, or a removal. */
async function removeHalfDone(engine: Engine): Promise<void> {
  for (const id of containerDirectories(join(engine.root, 'containers')))
    if (engine.table.find(id) === undefined) await removeLeftovers(engine, id, readLeftovers(engine, id))
  for (const id of containerDirectories(join(engine.execRoot, 'containers')))
    if (engine.table.find(id) === undefined) {
      const shim = await engine.supervisors.find(bundleDirectory(engine, id))
      await endShim(engine, { id, hostConfig: {} }, shim)
      await removeLeftovers(engine, id, [])
    }
}

/** The last daemon may have been killed between a change of the networks and the record of it. */
async function settleNetworks(engine: Engine, container: Container): Promise<void> {
  const { id, networks } = container
  for (const { networkId, networkName } of engine.networks.endpointsOf(id))
    if (networks[networkName] === undefined)
      await attempt(engine, `disconnecting container ${id}`, () => engine.networks.detach(id, networkId))
  engine.table.update(id, { endpoints: currentEndpoints(engine, container) })
}

async function findAgain(engine: Engine, container: Container): Promise<void> {
  const { id } = container
  const directory = bundleDirectory(engine, id)
  const shim = engine.shims.get(id) ?? (await engine.supervisors.find(directory))
  if (shim !== undefined) {
    engine.shims.set(id, shim)
    await settleNetworks(engine, container)
    watchExit(engine, id, shim)
    if (container.run.state === 'running') watchHealth(engine, id)
    return
  }
  await engine.lock.run(id, async () => {
    await handleExit(engine, id, engine.supervisors.lastExit(directory) ?? lost())
  })
}

/** Neither the supervisor nor a word of it: a reboot, or both were killed. */
const lost = (): ProcessExit => ({ exitCode: 255, exitedAt: timestamp(), oomKilled: false, shimLost: true })

/** A supervisor for a container that does not run: the last daemon was killed between its launch and the record of it. */
async function undoHalfStart(engine: Engine, container: Container): Promise<void> {
  const { id, run } = container
  if (hasProcess(run.state) || engine.shims.has(id)) return
  if (!containerDirectories(join(engine.execRoot, 'containers')).includes(id)) return
  const shim = await engine.supervisors.find(bundleDirectory(engine, id))
  await endShim(engine, container, shim)
  await attempt(engine, `disconnecting container ${id}`, () => disconnectNetworks(engine, container))
  await forgetBundle(engine, container, undefined)
}

async function endShim(
  engine: Engine,
  container: Pick<Container, 'id' | 'hostConfig'>,
  shim: Shim | undefined,
): Promise<void> {
  await attempt(engine, `ending the supervisor of ${container.id}`, async () => {
    if (shim !== undefined && shim.containerPid > 0) await shim.killAll()
    await shim?.release()
  })
  await attempt(engine, `removing the control group of ${container.id}`, () => {
    const group = engine.cgroups.group(cgroupPath(engine, container))
    group.kill(2000)
    group.remove()
  })
}

/** By policy; a wait that the last daemon had begun is over. Never rejects. */
async function startAtBoot(engine: Engine, id: string): Promise<void> {
  try {
    await engine.lock.run(id, async () => {
      const container = engine.table.find(id)
      if (container === undefined || hasProcess(container.run.state)) return
      const { run, hostConfig } = container
      if (wantsStartAtBoot(hostConfig.RestartPolicy, run)) {
        clearTimeout(engine.restarts.get(id)?.timer)
        await startLocked(engine, id, { restartCount: run.restartCount })
      } else if (run.state === 'restarting') engine.table.update(id, { run: { state: 'exited' } })
    })
  } catch (error) {
    engine.report(`starting container ${id} again: ${messageOf(error)}`)
  }
}
