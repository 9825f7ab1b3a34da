import * as vscode from 'vscode'
import type { ContainerSummary } from '../../engine/api/contract/docker.ts'
import { isAbort, messageOf } from '../engine-client/errors.ts'
import type { EngineLife } from '../engine-life/engine-life.ts'
import { isRunning } from './container-nodes.ts'
import { type Topic, topics, topicsOf } from './topics.ts'

/** Events come in bursts; a list is fetched once for all of one. Milliseconds. */
const calm = 120

/** Tells the views what changed, and keeps the container list, which the badge needs even while the view is hidden. */
export class Inventory implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<ReadonlySet<Topic>>()
  readonly #counted = new vscode.EventEmitter<number>()
  readonly #life: EngineLife
  readonly #log: vscode.LogOutputChannel
  readonly #listening: vscode.Disposable[]
  #pending = new Set<Topic>()
  #timer: NodeJS.Timeout | undefined
  #containers: Promise<ContainerSummary[]> | undefined

  readonly onDidChange = this.#changed.event
  readonly onDidCount = this.#counted.event

  constructor(life: EngineLife, log: vscode.LogOutputChannel) {
    this.#life = life
    this.#log = log
    this.#listening = [
      life.onEvent((event) => this.refresh(topicsOf(event))),
      life.onDidChangeState(() => this.refresh(topics)),
    ]
  }

  /** What was listed of these topics is out of date. */
  refresh(changed: readonly Topic[]): void {
    for (const topic of changed) this.#pending.add(topic)
    if (changed.length > 0) this.#timer ??= setTimeout(() => this.#tell(), calm)
  }

  /** All containers; fetched once between two changes. */
  containers(): Promise<ContainerSummary[]> {
    this.#containers ??= this.#fetchContainers()
    return this.#containers
  }

  dispose(): void {
    clearTimeout(this.#timer)
    for (const listening of this.#listening) listening.dispose()
    this.#changed.dispose()
    this.#counted.dispose()
  }

  #tell(): void {
    const changed = this.#pending
    this.#pending = new Set()
    this.#timer = undefined
    if (changed.has('containers')) {
      this.#containers = undefined
      void this.#count()
    }
    this.#changed.fire(changed)
  }

  async #count(): Promise<void> {
    if (this.#life.state !== 'running') {
      this.#counted.fire(0)
      return
    }
    try {
      this.#counted.fire((await this.containers()).filter(isRunning).length)
    } catch (error) {
      if (!isAbort(error)) this.#log.warn(messageOf(error))
    }
  }

  async #fetchContainers(): Promise<ContainerSummary[]> {
    try {
      const client = await this.#life.client()
      return await client.containers.list()
    } catch (error) {
      this.#containers = undefined
      throw error
    }
  }
}
