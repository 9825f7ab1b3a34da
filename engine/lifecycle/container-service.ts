/** Everything one can do with containers, put together: each verb is a file beside this. */
import type { Duplex, Readable } from 'node:stream'
import type { Span } from '../trace/trace.ts'
import { exportRoot, readArchive, statPath, writeArchive } from './archive.ts'
import { attach } from './attach.ts'
import { changes } from './changes.ts'
import { connect, disconnect } from './connect.ts'
import type { Container, ContainerResources, EndpointSettings, RestartPolicy } from './container.ts'
import type {
  AttachOptions,
  ContainerSample,
  Containers,
  CreateContainer,
  CreateExec,
  Exec,
  LogOptions,
  PathStat,
  StartExec,
  WaitCondition,
  WaitResult,
} from './containers.ts'
import { create } from './create.ts'
import { dial } from './dial.ts'
import { announce, createEngine, type Dependencies, type Engine } from './engine.ts'
import { createExec, resizeExec, startExec } from './exec.ts'
import { keepHealth } from './health-watch.ts'
import { kill } from './kill.ts'
import { readLogs } from './logs.ts'
import { pause, unpause } from './pause.ts'
import { prune } from './prune.ts'
import { liveContainers, recover } from './recover.ts'
import { remove } from './remove.ts'
import { rename } from './rename.ts'
import { restart, startAgain } from './restart.ts'
import { shimOf } from './shim-of.ts'
import { size } from './size.ts'
import { start } from './start.ts'
import { sample } from './stats.ts'
import { type StopOptions, stop } from './stop.ts'
import { top } from './top.ts'
import { update } from './update.ts'
import { usersOfVolume } from './volume-use.ts'
import { wait } from './wait.ts'

export class ContainerService implements Containers {
  readonly #engine: Engine

  constructor(dependencies: Dependencies) {
    this.#engine = createEngine(dependencies, (id) => startAgain(this.#engine, id))
  }

  /** Containers whose supervisor outlived the last daemon; what the networks' own recovery wants to know. Before `recover`. */
  liveContainers(): Promise<Set<string>> {
    return liveContainers(this.#engine)
  }

  /** Once, before anything else; see recover.ts. */
  recover(): Promise<void> {
    return recover(this.#engine)
  }

  /** The daemon is going: containers live on, and their ends are left to the next one. */
  close(): void {
    this.#engine.closing = true
    keepHealth(this.#engine)
    for (const { timer } of this.#engine.restarts.values()) clearTimeout(timer)
  }

  /** Spans of the container's last start, oldest first; the array is the kept one, so that a caller may add its own. */
  traceOf(reference: string): Span[] {
    return this.#engine.traces.get(this.#engine.table.get(reference).id) ?? []
  }

  get(reference: string): Container {
    return this.#engine.table.get(reference)
  }

  list(): Container[] {
    return this.#engine.table.list()
  }

  create(request: CreateContainer): Promise<{ id: string; warnings: string[] }> {
    return create(this.#engine, request)
  }

  start(reference: string): Promise<void> {
    return start(this.#engine, reference)
  }

  stop(reference: string, options: StopOptions): Promise<void> {
    return stop(this.#engine, reference, options)
  }

  restart(reference: string, options: StopOptions): Promise<void> {
    return restart(this.#engine, reference, options)
  }

  kill(reference: string, signal: string): Promise<void> {
    return kill(this.#engine, reference, signal)
  }

  pause(reference: string): Promise<void> {
    return pause(this.#engine, reference)
  }

  unpause(reference: string): Promise<void> {
    return unpause(this.#engine, reference)
  }

  remove(reference: string, options: { force: boolean; volumes: boolean }): Promise<void> {
    return remove(this.#engine, reference, options)
  }

  rename(reference: string, name: string): Promise<void> {
    return rename(this.#engine, reference, name)
  }

  update(reference: string, resources: ContainerResources, policy?: RestartPolicy): Promise<string[]> {
    return update(this.#engine, reference, resources, policy)
  }

  async resize(reference: string, size: { height: number; width: number }): Promise<void> {
    const container = this.get(reference)
    await shimOf(this.#engine, container.id).resize(size)
    announce(this.#engine, container, 'resize', { height: String(size.height), width: String(size.width) })
  }

  wait(reference: string, condition: WaitCondition): { result: Promise<WaitResult>; cancel(): void } {
    return wait(this.#engine, reference, condition)
  }

  attach(reference: string, options: AttachOptions): Promise<Duplex> {
    return attach(this.#engine, reference, options)
  }

  logs(reference: string, options: LogOptions): Readable {
    return readLogs(this.#engine, reference, options)
  }

  top(reference: string, psArguments: string): { Titles: string[]; Processes: string[][] } {
    return top(this.#engine, reference, psArguments)
  }

  sample(reference: string): ContainerSample {
    return sample(this.#engine, reference)
  }

  changes(reference: string): Promise<{ Path: string; Kind: 0 | 1 | 2 }[]> {
    return changes(this.#engine, reference)
  }

  volumeUsers(name: string): string[] {
    return usersOfVolume(this.#engine, name)
  }

  exportRoot(reference: string): Promise<Readable> {
    return exportRoot(this.#engine, reference)
  }

  statPath(reference: string, path: string): Promise<PathStat> {
    return statPath(this.#engine, reference, path)
  }

  readArchive(reference: string, path: string): Promise<{ stat: PathStat; archive: Readable }> {
    return readArchive(this.#engine, reference, path)
  }

  writeArchive(
    reference: string,
    path: string,
    archive: Readable,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  ): Promise<void> {
    return writeArchive(this.#engine, reference, path, archive, options)
  }

  size(reference: string): Promise<{ sizeRw: number; sizeRootFs: number }> {
    return size(this.#engine, reference)
  }

  prune(options: {
    filter: (container: Container) => boolean
    dryRun?: boolean
  }): Promise<{ ids: string[]; bytes: number }> {
    return prune(this.#engine, options)
  }

  connect(reference: string, network: string, settings: EndpointSettings): Promise<void> {
    return connect(this.#engine, reference, network, settings)
  }

  disconnect(reference: string, network: string, force: boolean): Promise<void> {
    return disconnect(this.#engine, reference, network, force)
  }

  async createExec(reference: string, request: CreateExec): Promise<string> {
    return createExec(this.#engine, reference, request)
  }

  startExec(execId: string, options: StartExec): Promise<Duplex | undefined> {
    return startExec(this.#engine, execId, options)
  }

  resizeExec(execId: string, size: { height: number; width: number }): Promise<void> {
    return resizeExec(this.#engine, execId, size)
  }

  getExec(execId: string): Exec {
    return this.#engine.execs.get(execId)
  }

  execIds(containerId: string): string[] {
    return this.#engine.execs.idsOf(containerId)
  }

  dial(reference: string, port: number): Promise<import('node:net').Socket> {
    return dial(this.#engine, reference, port)
  }
}
