/**
 * An engine of a test's own: directories, socket and process that nobody else has, all gone with it. Needs root.
 * The engine runs from its sources, or from the bundle where a test is about what is shipped.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const projectRoot = resolve(import.meta.dirname, '..')
export const needsRoot = process.getuid?.() !== 0 && 'needs root'

export type MachineOptions = { bundle?: boolean; user?: number }
export type Answer = { status: number; body: unknown }

export class TestEngine implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'drydock-engine-'))
  readonly root = join(this.directory, 'state')
  readonly execRoot = join(this.directory, 'run')
  readonly socket = join(this.execRoot, 'docker.sock')
  readonly #options: MachineOptions
  #process: ChildProcess | undefined
  #output = ''

  private constructor(options: MachineOptions) {
    this.#options = options
  }

  static async start(options: MachineOptions = {}): Promise<TestEngine> {
    const engine = new TestEngine(options)
    try {
      await engine.start()
      return engine
    } catch (error) {
      await engine[Symbol.asyncDispose]()
      throw error
    }
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** What the engine has said on its standard output and error. */
  get output(): string {
    return this.#output
  }

  /** Starts the daemon on these directories and waits until it answers. */
  async start(): Promise<void> {
    const main = this.#options.bundle ? 'dist/engine/main.js' : 'engine/main.ts'
    const places = ['--root', this.root, '--exec-root', this.execRoot, '--socket', this.socket]
    const args = [join(projectRoot, main), 'daemon', ...places, '--user', String(this.#options.user ?? 0)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes: Buffer) => {
        this.#output = (this.#output + bytes).slice(-100_000)
      })
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the engine ended (${child.exitCode ?? child.signalCode}):\n${this.#output}`)
      if ((await this.ask('GET', '/_ping').catch(() => undefined))?.status === 200) return
      await sleep(20)
    }
  }

  /** SIGTERM, as an upgrade does, or SIGKILL, as a crash does; containers go on. Resolves when it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((done) => child.once('exit', done))
    child.kill(signal)
    await ended
  }

  /** One request; the body is parsed where it is JSON. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const { promise, resolve: answered, reject } = Promise.withResolvers<Answer>()
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const outgoing = request({ socketPath: this.socket, method, path, headers }, (response) => {
      text(response).then((said) => {
        const json = response.headers['content-type']?.includes('json') && said !== ''
        answered({ status: response.statusCode ?? 0, body: json ? JSON.parse(said) : said })
      }, reject)
    })
    outgoing.once('error', reject)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }

  /** Removes the containers and networks, stops the daemon, and takes its directories away. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#removeContainers()
      await this.stop()
      await this.#erase()
    } finally {
      await this.stop('SIGKILL')
      rmSync(this.directory, { recursive: true, force: true })
    }
  }

  async #removeContainers(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const { body } = await this.ask('GET', '/containers/json?all=1')
    if (!Array.isArray(body)) return
    for (const { Id } of body) await this.ask('DELETE', `/containers/${Id}?force=1&v=1`)
    await this.ask('POST', '/networks/prune')
  }

  /** Bridges and rules of the default network belong to the machine and outlive a daemon. */
  async #erase(): Promise<void> {
    const main = join(projectRoot, this.#options.bundle ? 'dist/engine/main.js' : 'engine/main.ts')
    const args = [main, 'setup', 'erase', '--root', this.root, '--exec-root', this.execRoot]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] })
    const said = text(child.stderr)
    const code = await new Promise((done) => child.once('exit', done))
    if (code !== 0) throw new Error(`drydock setup erase: ${await said}`)
  }
}
