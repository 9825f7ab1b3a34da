/**
 * For tests: a daemon of its own, from the sources, with everything it keeps in a temporary place, driven over its
 * socket. Disposing of it stops the daemon, erases what it has and fails where anything is left on the machine.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { checkAnswer } from '../shapes/answers.ts'

const root = join(import.meta.dirname, '../..')
/** What is run: the sources as they are, or what is built from them and shipped. */
const programs = { sources: join(root, 'engine/main.ts'), bundle: join(root, 'dist/engine/main.js') }

/** A reason to skip, or false. */
export const noEngine: string | false = process.getuid?.() === 0 ? false : 'needs root'

export type Answer = {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
  text: string
  /** The document; throws where the body is none. */
  json: <T = Record<string, unknown>>() => T
}

/** A program's exit code and outputs. */
export type Ended = { code: number; out: string; error: string }

export type Call = { body?: unknown; raw?: Buffer | Readable; headers?: Record<string, string> }

export class TestEngine implements AsyncDisposable {
  readonly directory: string
  readonly socket: string
  /** Of `described` in ../shapes/answers.ts: what `call` has seen, and held to its description. */
  readonly answers = new Set<string>()
  readonly #command: readonly string[]
  #daemon: ChildProcess | undefined
  #output = ''

  private constructor(command: readonly string[]) {
    this.#command = command
    this.directory = mkdtempSync('/var/tmp/drydock-engine-')
    this.socket = join(this.directory, 'run', 'docker.sock')
  }

  /** @param more of the daemon's own options */
  static start(...more: string[]): Promise<TestEngine> {
    return TestEngine.#start([process.execPath, programs.sources], more)
  }

  /** @param launcher a program with its words, which executes what is told to it after them */
  static startBy(...launcher: string[]): Promise<TestEngine> {
    return TestEngine.#start([...launcher, process.execPath, programs.sources], [])
  }

  /** Built from the sources as they are now. */
  static startBundle(...more: string[]): Promise<TestEngine> {
    execFileSync(process.execPath, [join(root, '.ci/build.mjs')])
    return TestEngine.#start([process.execPath, programs.bundle], more)
  }

  static async #start(command: readonly string[], more: readonly string[]): Promise<TestEngine> {
    const engine = new TestEngine(command)
    try {
      await engine.begin(...more)
      return engine
    } catch (error) {
      await engine[Symbol.asyncDispose]()
      throw error
    }
  }

  get words(): string[] {
    return ['--root', join(this.directory, 'root'), '--exec-root', join(this.directory, 'run')]
  }

  /** What the daemon has written, both outputs. */
  get output(): string {
    return this.#output
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0
  }

  /** Starts the daemon and waits until it says that it listens. Fails with what it wrote when it ends instead. */
  async begin(...more: string[]): Promise<void> {
    const [program, ...first] = this.#command as [string, ...string[]]
    const daemon = spawn(program, [...first, 'daemon', ...this.words, '--socket', this.socket, ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#daemon = daemon
    this.#output = ''
    await new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        this.#output += chunk.toString()
        if (this.#output.includes('listening on')) resolve()
      }
      daemon.stdout?.on('data', hear)
      daemon.stderr?.on('data', hear)
      daemon.once('exit', () => reject(new Error(`the daemon ended: ${this.#output}`)))
    })
  }

  /** Ends the daemon only; containers go on. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = this.#daemon
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return
    // Not `close`: shims that go on have the daemon's outputs open.
    const ended = once(daemon, 'exit')
    daemon.kill(signal)
    await ended
  }

  async call(method: string, path: string, { body, raw, headers = {} }: Call = {}): Promise<Answer> {
    const document = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const type = document === undefined ? {} : { 'Content-Type': 'application/json' }
    const response = await this.open(method, path, { raw: raw ?? document, headers: { ...type, ...headers } })
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const whole = Buffer.concat(chunks)
    const seen = checkAnswer(method, path, { status: response.statusCode ?? 0, headers: response.headers, body: whole })
    if (seen !== undefined) this.answers.add(seen)
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: whole,
      text: whole.toString(),
      json: <T>() => JSON.parse(whole.toString()) as T,
    }
  }

  /** The response as soon as its head is there. */
  open(
    method: string,
    path: string,
    { raw, headers = {} }: { raw?: Buffer | Readable | undefined; headers?: Record<string, string> } = {},
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const length = Buffer.isBuffer(raw) ? { 'Content-Length': String(raw.length) } : {}
      const options = {
        socketPath: this.socket,
        method,
        path,
        agent: false,
        headers: { ...length, ...headers },
      } as const
      const outgoing = request(options, resolve)
      outgoing.on('error', reject)
      if (raw === undefined || Buffer.isBuffer(raw)) outgoing.end(raw)
      else raw.pipe(outgoing)
    })
  }

  /** A bare connection, for what no HTTP client would send. */
  async wire(): Promise<Socket> {
    const socket = connect({ path: this.socket, allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  }

  /** `docker ARGS` against this engine. */
  docker(args: readonly string[], input = '', more: Record<string, string> = {}): Promise<Ended> {
    return this.client('docker', args, { input, more })
  }

  /** A program that finds this engine where Docker's clients look. */
  async client(
    program: string,
    args: readonly string[],
    { input = '', more = {} }: { input?: string; more?: Record<string, string> } = {},
  ): Promise<Ended> {
    const address = { HOME: this.directory, DOCKER_HOST: `unix://${this.socket}` }
    const env = { PATH: process.env.PATH ?? '', ...address, ...more }
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: child.exitCode ?? -1, out, error }
  }

  /** A container of the image `host`, created and started. */
  async run(name: string, command: readonly string[], more: Record<string, unknown> = {}): Promise<string> {
    const created = await this.call('POST', `/containers/create?name=${name}`, {
      body: { Image: 'host', Cmd: command, HostConfig: { NetworkMode: 'none' }, ...more },
    })
    if (created.status !== 201) throw new Error(`create ${name}: ${created.status} ${created.text}`)
    const started = await this.call('POST', `/containers/${name}/start`)
    if (started.status !== 204) throw new Error(`start ${name}: ${started.status} ${started.text}`)
    return created.json<{ Id: string }>().Id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.end()
      await this.#erase()
      const left = leftovers(this.directory)
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
    } finally {
      rmSync(this.directory, { recursive: true, force: true })
    }
  }

  async #erase(): Promise<void> {
    const child = spawn(process.execPath, [this.#command.at(-1)!, 'setup', 'erase', ...this.words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    if (child.exitCode !== 0) throw new Error(`setup erase: ${out}${error}`)
  }
}

/** Mounts, processes and files that name the engine's directory. */
function leftovers(directory: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory))
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory)
      } catch {
        return false
      }
    })
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => name === 'root' || name === 'run') : []
  return [
    ...mounts.map((line) => `mount ${line}`),
    ...processes.map((pid) => `process ${pid}`),
    ...files.map((name) => `directory ${name}`),
  ]
}

/** Takes Docker's frames apart: text by stream. */
export function unframe(bytes: Buffer): { stdout: string; stderr: string } {
  const found = { 1: '', 2: '' } as Record<number, string>
  for (let at = 0; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32BE(at + 4)
    const stream = bytes[at] ?? 0
    found[stream] = (found[stream] ?? '') + bytes.toString('utf8', at + 8, at + 8 + size)
    at += 8 + size
  }
  return { stdout: found[1] ?? '', stderr: found[2] ?? '' }
}

/** All that comes until the other side ends. */
export async function rest(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Reads until the text is there; what was read is the result. Fails when the stream ends before. */
export async function until(stream: Readable, wanted: string): Promise<string> {
  let seen = ''
  for (;;) {
    const chunk = stream.read() as Buffer | null
    if (chunk !== null) seen += chunk.toString('latin1')
    if (seen.includes(wanted)) return seen
    if (chunk === null) {
      if (stream.readableEnded || stream.destroyed) throw new Error(`ended without ${JSON.stringify(wanted)}: ${seen}`)
      await Promise.race([once(stream, 'readable'), once(stream, 'end'), once(stream, 'close')])
    }
  }
}
