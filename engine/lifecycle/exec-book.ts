/** The execs of all containers: in memory, because their processes are the shim's and their ids are nobody's for long. */
import { EngineError } from '../base/errors.ts'
import type { Exec } from './containers.ts'

/** How long an ended exec can still be inspected; wire fact 33. */
const keptFor = 5 * 60_000

export class ExecBook {
  readonly #execs = new Map<string, Exec>()
  readonly #starting = new Map<string, PromiseWithResolvers<void>>()
  readonly #ending = new Map<string, PromiseWithResolvers<void>>()

  add(exec: Exec): void {
    this.#execs.set(exec.id, exec)
  }

  get(id: string): Exec {
    const exec = this.#execs.get(id)
    if (exec === undefined) throw new EngineError('not-found', `No such exec instance: ${id}`)
    return exec
  }

  change(id: string, change: Partial<Exec>): void {
    const exec = this.#execs.get(id)
    if (exec !== undefined) this.#execs.set(id, { ...exec, ...change })
    if (change.running === undefined) return
    this.#starting.get(id)?.resolve()
    this.#starting.delete(id)
  }

  /** The exec as soon as it has started or ended, or after `patience` ms as it is then. */
  async whenRunning(id: string, patience: number): Promise<Exec> {
    const exec = this.get(id)
    if (exec.running || exec.exitCode !== null) return exec
    const started = this.#starting.get(id) ?? Promise.withResolvers<void>()
    this.#starting.set(id, started)
    const timer = setTimeout(started.resolve, patience)
    await started.promise
    clearTimeout(timer)
    return this.get(id)
  }

  /** Of one that was started. */
  async whenEnded(id: string): Promise<Exec> {
    const exec = this.get(id)
    if (exec.exitCode !== null) return exec
    const ended = this.#ending.get(id) ?? Promise.withResolvers<void>()
    this.#ending.set(id, ended)
    await ended.promise
    return this.get(id)
  }

  /** Of one container, those that run or wait to be started. */
  idsOf(containerId: string): string[] {
    const ids: string[] = []
    for (const exec of this.#execs.values())
      if (exec.containerId === containerId && exec.exitCode === null) ids.push(exec.id)
    return ids
  }

  /** The exec stays to be inspected for a while. */
  ended(id: string, exitCode: number): void {
    this.change(id, { running: false, exitCode, pid: 0 })
    this.#ending.get(id)?.resolve()
    this.#ending.delete(id)
    setTimeout(() => this.#execs.delete(id), keptFor).unref()
  }

  forget(containerId: string): void {
    for (const exec of [...this.#execs.values()]) if (exec.containerId === containerId) this.#execs.delete(exec.id)
  }
}
