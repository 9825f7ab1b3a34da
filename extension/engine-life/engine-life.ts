import * as vscode from 'vscode'
import { EngineClient } from '../engine-client/client.ts'
import type { EngineEvent } from '../engine-client/engine-event.ts'
import { messageOf, UnreachableError } from '../engine-client/errors.ts'
import { followEvents } from '../engine-client/event-stream.ts'
import { isInstalled } from './host.ts'
import { type EngineState, hindrances, stateOf } from './state.ts'

/** A command was asked for while the engine can't serve it. */
export class HinderedError extends Error {
  override readonly name = 'HinderedError'
  readonly state: Exclude<EngineState, 'running'>

  constructor(state: Exclude<EngineState, 'running'>) {
    super(hindrances[state].sentence)
    this.state = state
  }
}

/** Knows whether the engine is there, and tells what happens in it. Looks only through the event stream. */
export class EngineLife implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<EngineState>()
  readonly #happened = new vscode.EventEmitter<EngineEvent>()
  readonly #log: vscode.LogOutputChannel
  #following = new AbortController()
  #client: EngineClient
  #failure: string | null = 'ENOENT'
  #starting = false
  #state: EngineState
  #firstAnswer = Promise.withResolvers<void>()

  readonly onDidChangeState = this.#changed.event
  readonly onEvent = this.#happened.event

  constructor(log: vscode.LogOutputChannel) {
    this.#log = log
    this.#client = new EngineClient(socketSetting())
    this.#state = this.#judge()
  }

  get state(): EngineState {
    return this.#state
  }

  get socketPath(): string {
    return this.#client.socketPath
  }

  /** Begins to follow the socket of the settings; also after a change of it, or to try again at once. */
  connect(): void {
    this.#following.abort()
    this.#following = new AbortController()
    this.#firstAnswer = Promise.withResolvers<void>()
    const { signal } = this.#following
    const client = new EngineClient(socketSetting())
    this.#client = client
    this.#update()
    if (this.#state === 'unsupported' || this.#state === 'untrusted') {
      this.#firstAnswer.resolve()
      return
    }
    const listener = {
      connected: () => this.#reached(null),
      event: (event: EngineEvent) => this.#happened.fire(event),
      lost: (error: unknown) => {
        if (!signal.aborted) this.#reached(error)
      },
    }
    followEvents({ open: (since, stop) => client.events(since, stop) }, listener, signal).catch((error) =>
      this.#log.error(messageOf(error)),
    )
  }

  /** Says that a start is under way, until the engine answers or `work` fails. */
  async starting(work: () => Promise<void>): Promise<void> {
    this.#starting = true
    this.#update()
    try {
      await work()
      this.connect()
      await this.#answered(20_000)
    } finally {
      this.#starting = false
      this.#update()
    }
  }

  /** The client of a running engine, or a HinderedError that says what is in the way. */
  async client(): Promise<EngineClient> {
    await this.#firstAnswer.promise
    if (this.#state === 'stopped' || this.#state === 'not-set-up') await this.#lookAgain()
    if (this.#state !== 'running') throw new HinderedError(this.#state)
    return this.#client
  }

  /** Resolves once it is known whether somebody answers at the socket. */
  async settled(): Promise<EngineState> {
    await this.#firstAnswer.promise
    return this.#state
  }

  dispose(): void {
    this.#following.abort()
    this.#changed.dispose()
    this.#happened.dispose()
  }

  async #lookAgain(): Promise<void> {
    try {
      await this.#client.ping()
      this.connect()
      await this.#answered(3000)
    } catch {
      // Still nobody there: the state says it.
    }
  }

  async #answered(patienceMs: number): Promise<void> {
    const until = Date.now() + patienceMs
    while (this.#failure !== null && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 100))
  }

  #reached(error: unknown): void {
    const failure = error === null ? null : error instanceof UnreachableError ? error.code : 'EPROTO'
    if (failure !== this.#failure) this.#log.info(error === null ? `Connected to ${this.socketPath}` : messageOf(error))
    this.#failure = failure
    this.#firstAnswer.resolve()
    this.#update()
  }

  #judge(): EngineState {
    return stateOf({
      platform: process.platform,
      trusted: vscode.workspace.isTrusted,
      installed: this.#failure === null || isInstalled(),
      starting: this.#starting,
      failure: this.#failure,
    })
  }

  #update(): void {
    const state = this.#judge()
    const changed = state !== this.#state
    this.#state = state
    void vscode.commands.executeCommand('setContext', 'drydock.engine', state)
    if (changed) this.#changed.fire(state)
  }
}

const socketSetting = (): string =>
  vscode.workspace.getConfiguration('drydock').get<string>('socket') || '/run/drydock/docker.sock'
