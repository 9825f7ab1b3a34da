/** A peer that speaks Docker's API on a unix socket, and the few requests that the measures make of it. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from './place.ts'

export type PeerOptions = {
  place: Place
  image: string
  /** The daemon's words, the program first. */
  daemon: readonly string[]
  /** Comes with each container's HostConfig. */
  hostConfig: object
  /** What it wants to hear before it pulls without TLS, added to the request. */
  plainPull?: string
  /** After the daemon has ended. */
  erase?: () => void
}

export class ApiPeer implements AsyncDisposable {
  readonly place: Place
  readonly #options: PeerOptions
  readonly #agent = new Agent({ keepAlive: true })
  #daemon: ChildProcess | undefined
  /** When the daemon was ready; as performance.now() tells it. */
  begun = 0

  constructor(options: PeerOptions) {
    this.place = options.place
    this.#options = options
  }

  get socket(): string {
    return this.place.path('docker.sock')
  }

  /** Starts the daemon; resolves as soon as it answers. */
  async begin(): Promise<void> {
    const [program, ...args] = this.#options.daemon
    const daemon = this.place.spawn(program!, args)
    this.#daemon = daemon
    const end = performance.now() + 60_000
    while (performance.now() < end) {
      if (daemon.exitCode !== null) throw new Error(`${program} ended: ${this.place.log.slice(-500)}`)
      const answer = await this.#send('GET', '/_ping').catch(() => undefined)
      answer?.resume()
      if (answer?.statusCode === 200) {
        this.begun = performance.now()
        return
      }
      await sleep(5)
    }
    throw new Error(`${program} does not answer: ${this.place.log.slice(-500)}`)
  }

  /** Ends the daemon only. */
  async end(): Promise<void> {
    const daemon = this.#daemon
    this.#agent.destroy()
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return
    const ended = once(daemon, 'exit')
    daemon.kill('SIGTERM')
    const timer = setTimeout(() => daemon.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(timer)
  }

  /** Throws, in the peer's own words, where it answers with an error. */
  async call<T = unknown>(method: string, path: string, body?: object | string): Promise<T> {
    const chunks: Buffer[] = []
    for await (const chunk of await this.open(method, path, body)) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    return (text.startsWith('{') || text.startsWith('[') ? parsed(text) : text) as T
  }

  /** The response with its body unread. */
  async open(method: string, path: string, body?: object | string): Promise<IncomingMessage> {
    const response = await this.#send(method, path, body)
    if ((response.statusCode ?? 0) < 400) return response
    let text = ''
    for await (const chunk of response) text += String(chunk)
    throw new Error(`${method} ${path}: ${response.statusCode} ${text.trim().slice(0, 300)}`)
  }

  /** `body` is a document, or the path of an archive. */
  #send(method: string, path: string, body?: object | string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const type = typeof body === 'string' ? 'application/x-tar' : 'application/json'
      const headers = body === undefined ? {} : { 'content-type': type }
      const outgoing = request({ socketPath: this.socket, method, path, headers, agent: this.#agent }, resolve)
      outgoing.once('error', reject)
      if (typeof body === 'string') createReadStream(body).pipe(outgoing)
      else outgoing.end(body && JSON.stringify(body))
    })
  }

  /** @param command the image's own where there is none */
  async create(
    command: readonly string[] | undefined,
    network = 'none',
    more: { Image?: string; Env?: readonly string[]; HostConfig?: object; ExposedPorts?: object } = {},
  ): Promise<string> {
    const HostConfig = { NetworkMode: network, ...this.#options.hostConfig, ...more.HostConfig }
    const body = { Image: this.#options.image, ...more, Cmd: command, HostConfig }
    return (await this.call<{ Id: string }>('POST', '/v1.41/containers/create', body)).Id
  }

  async start(id: string): Promise<void> {
    await this.call('POST', `/v1.41/containers/${id}/start`)
  }

  async wait(id: string): Promise<void> {
    const { StatusCode } = await this.call<{ StatusCode: number }>('POST', `/v1.41/containers/${id}/wait`)
    if (StatusCode !== 0) throw new Error(`exit code ${StatusCode}`)
  }

  async remove(id: string): Promise<void> {
    await this.call('DELETE', `/v1.41/containers/${id}?force=1&v=1`)
  }

  async pull(name: string, tag: string): Promise<void> {
    const query = `fromImage=${name}&tag=${tag}${this.#options.plainPull ?? ''}`
    await this.call('POST', `/v1.41/images/create?${query}`)
  }

  /** From nothing to nothing. */
  async run(command: readonly string[], network: string): Promise<void> {
    const id = await this.create(command, network)
    await this.start(id)
    await this.wait(id)
    await this.remove(id)
  }

  /** Containers that sleep; `remove` takes them away. */
  async sleepers(count: number): Promise<AsyncDisposable> {
    const ids: string[] = []
    const some = async (): Promise<void> => {
      while (ids.length < count) {
        const at = ids.push('') - 1
        ids[at] = await this.create(['sleep', '1000'])
        await this.start(ids[at])
      }
    }
    await Promise.all([some(), some(), some(), some()])
    return this.owned(ids)
  }

  owned(ids: readonly string[]): AsyncDisposable {
    return {
      [Symbol.asyncDispose]: async () => {
        await Promise.all(ids.map((id) => this.remove(id)))
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const all = await this.call<{ Id: string }[]>('GET', '/v1.41/containers/json?all=1').catch(() => [])
      for (const { Id } of all) await this.remove(Id).catch(() => {})
      await this.end()
      this.#options.erase?.()
    } finally {
      await this.place[Symbol.asyncDispose]()
    }
  }
}

/** A stream of documents, one a line, fails where one of them is an error. */
function parsed(text: string): unknown {
  const error = text.split('\n').find((line) => line.startsWith('{"error'))
  if (error !== undefined) throw new Error(error.slice(0, 300))
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
