/** From created or exited to running: namespace, files, bundle, supervisor, process. */
import { rm } from 'node:fs/promises'
import { EngineError } from '../base/errors.ts'
import { never, timestamp } from '../base/time.ts'
import type { Shim } from '../shim/shim.ts'
import { record, type Span, span, withTrace } from '../trace/trace.ts'
import { connectPending, dropPending } from './attach.ts'
import { writeBundle } from './bundle.ts'
import type { Container } from './container.ts'
import { announce, bundleDirectory, cgroupPath, type Engine } from './engine.ts'
import { watchExit } from './exit.ts'
import { attempt } from './forget-bundle.ts'
import { healthTest, startingHealth } from './health.ts'
import { watchHealth } from './health-watch.ts'
import { linkedFrom } from './links.ts'
import { refreshHosts, writeNetworkFiles } from './network-files.ts'
import { announceNetwork, connectNetworks, disconnectNetworks, type NetworkSetup } from './network-setup.ts'
import { removeLocked } from './remove.ts'
import { cancelRestart } from './restart-timer.ts'
import { startFailure } from './start-failure.ts'
import { hasProcess, nextState } from './state-table.ts'
import { announceVolumes } from './volume-use.ts'

/** not-modified when it runs; conflict where its state does not allow it; wire facts 43–45. */
export async function start(engine: Engine, reference: string): Promise<void> {
  const { id } = engine.table.get(reference)
  mayStart(engine, engine.table.byId(id))
  cancelRestart(engine, id)
  await engine.lock.run(id, () => startLocked(engine, id, { restartCount: 0 }))
}

function mayStart(engine: Engine, container: Container): void {
  const { state } = container.run
  if (state === 'paused') throw new EngineError('conflict', 'cannot start a paused container, try unpause instead')
  if (state === 'running') throw new EngineError('not-modified', `container ${container.name} is running already`)
  if (engine.removing.has(container.id) || nextState(state, 'start') === undefined)
    throw new EngineError('conflict', 'container is marked for removal and cannot be started')
}

/** Precondition: the caller holds the container's lock. */
export async function startLocked(engine: Engine, id: string, options: { restartCount: number }): Promise<void> {
  const container = engine.table.byId(id)
  mayStart(engine, container)
  const abort = new AbortController()
  engine.starting.set(id, abort)
  const spans: Span[] = []
  try {
    await withTrace(spans, () => span('lifecycle', 'start', () => launch(engine, container, abort.signal, options)))
  } catch (error) {
    await startFailed(engine, container, error)
  } finally {
    engine.starting.delete(id)
    const before = container.run.startedAt === never ? (engine.traces.get(id) ?? []) : []
    engine.traces.set(id, [...before, ...spans])
    record(...spans)
  }
}

/** Rejects as soon as `signal` is aborted, even when `work` never settles. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const stop = (): void => aborted.reject(new EngineError('conflict', 'the start was called off'))
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', stop))
}

async function launch(
  engine: Engine,
  container: Container,
  signal: AbortSignal,
  options: { restartCount: number },
): Promise<void> {
  await using undo = new AsyncDisposableStack()
  const directory = bundleDirectory(engine, container.id)
  undo.defer(() => rm(directory, { recursive: true, force: true }))
  const early = await connectNetworks(engine, container)
  undo.defer(() => disconnectNetworks(engine, container))
  using held = new DisposableStack()
  const files = { directory, network: early, held }
  await span('lifecycle', 'write bundle', () => writeBundle(engine, container, files))
  const launching = span('shim', 'fork supervisor', () => engine.supervisors.launch(directory))
  undo.defer(() => destroyShim(engine, container, launching))
  const shim = await unlessAborted(signal, launching)
  const created = await unlessAborted(
    signal,
    span('shim', 'create', () => shim.create()),
  )
  record(...(created.spans as Span[]))
  const network = early.madeWithContainer === true ? await connectLate(engine, container, shim, created.pid) : early
  await span('shim', 'connect attachments', () => connectPending(engine, container.id, shim))
  const started = await unlessAborted(
    signal,
    span('shim', 'start', () => shim.start()),
  )
  record(...(started.spans as Span[]))
  await span('lifecycle', 'record', () => nowRunning(engine, container, shim, network, created.pid, options))
  undo.move()
}

/** The network of a container in a user namespace, once there is one; what the container reads of it, anew. */
async function connectLate(engine: Engine, container: Container, shim: Shim, pid: number): Promise<NetworkSetup> {
  const network = await connectNetworks(engine, container, pid)
  if (writeNetworkFiles(engine, container, network.endpoints)) await shim.serveNames()
  return network
}

function nowRunning(
  engine: Engine,
  container: Container,
  shim: Shim,
  network: NetworkSetup,
  pid: number,
  options: { restartCount: number },
): void {
  const running = engine.table.update(container.id, {
    endpoints: network.endpoints,
    run: {
      state: 'running',
      pid,
      exitCode: 0,
      error: '',
      oomKilled: false,
      startedAt: timestamp(),
      restartCount: options.restartCount,
      manuallyStopped: false,
      ...(healthTest(container.config) === undefined ? {} : { health: startingHealth() }),
    },
  })
  engine.shims.set(container.id, shim)
  for (const endpoint of network.endpoints) announceNetwork(engine, 'connect', running, endpoint)
  announceVolumes(engine, 'mount', running)
  announce(engine, running, 'start')
  watchExit(engine, container.id, shim)
  watchHealth(engine, container.id)
  refreshLinks(engine, running)
}

/** Containers with a link to this one learn the address that it has now. */
function refreshLinks(engine: Engine, child: Container): void {
  for (const parent of linkedFrom(engine, child))
    if (hasProcess(parent.run.state))
      void attempt(engine, `telling container ${parent.id} of ${child.name}'s address`, () =>
        refreshHosts(engine, parent),
      )
}

/** Ends a supervisor whose container did not start, whether or not it still answers. */
async function destroyShim(engine: Engine, container: Container, launching: Promise<Shim>): Promise<void> {
  const patience = AbortSignal.timeout(2000)
  const group = engine.cgroups.group(cgroupPath(engine, container))
  await attempt(engine, `ending the supervisor of ${container.id}`, async () => {
    // Also one that was still on its way when the start was called off.
    const shim = await unlessAborted(patience, launching).catch(() => undefined)
    if (shim === undefined) return
    try {
      if (shim.containerPid > 0) await unlessAborted(patience, shim.killAll())
      await unlessAborted(patience, shim.release())
    } catch {
      // Gone already is what is wanted. One that hangs is ended from outside: its process and then itself.
      if (!patience.aborted) return
      group.kill(2000)
      process.kill(shim.pid, 'SIGKILL')
    }
  })
  await attempt(engine, `removing the control group of ${container.id}`, () => {
    group.kill(2000)
    group.remove()
  })
}

/** Keeps the reason, with the state as it was; wire fact 45. Always throws. */
async function startFailed(engine: Engine, container: Container, error: unknown): Promise<never> {
  const failure = startFailure(error)
  const state = nextState(container.run.state, 'give-up') ?? container.run.state
  engine.table.update(container.id, {
    run: { state, pid: 0, exitCode: failure.exitCode, error: failure.error.message },
  })
  dropPending(engine, container.id)
  if (container.hostConfig.AutoRemove === true) await removeLocked(engine, container.id, { volumes: true })
  throw failure.error
}
