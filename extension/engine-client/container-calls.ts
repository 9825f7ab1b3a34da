import type {
  ContainerInspect,
  ContainerSummary,
  CreateContainerAnswer,
  CreateContainerRequest,
  PruneContainersAnswer,
  UpdateAnswer,
  UpdateRequest,
  WaitAnswer,
} from '../../engine/api/contract/docker.ts'
import type { LimitsSample, NamespaceList, Trace } from '../../engine/api/contract/drydock.ts'
import { ApiError } from './errors.ts'
import { payloads } from './frames.ts'
import { jsonLines } from './lines.ts'
import type { Hijacked, Transport } from './transport.ts'

export type ContainerVerb = 'start' | 'stop' | 'restart' | 'pause' | 'unpause' | 'kill'

const pathOf = (id: string, rest = ''): string => `/containers/${encodeURIComponent(id)}${rest}`
const ownPathOf = (id: string, rest: string): string => `/drydock/containers/${encodeURIComponent(id)}${rest}`

export class ContainerCalls {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Stopped ones too. */
  list(): Promise<ContainerSummary[]> {
    return this.#transport.json('GET', '/containers/json', { query: { all: 1 } })
  }

  inspect(id: string): Promise<ContainerInspect> {
    return this.#transport.json('GET', pathOf(id, '/json'))
  }

  create(body: CreateContainerRequest, name?: string): Promise<CreateContainerAnswer> {
    return this.#transport.json('POST', '/containers/create', { query: { name: name || undefined }, body })
  }

  /** A container that already is as asked (304) is no failure. */
  async act(id: string, verb: ContainerVerb): Promise<void> {
    await this.#transport.done('POST', pathOf(id, `/${verb}`))
  }

  async stop(id: string, seconds: number): Promise<void> {
    await this.#transport.done('POST', pathOf(id, '/stop'), { query: { t: seconds } })
  }

  /** ApiError 409 where it does not run. */
  async signal(id: string, signal: string): Promise<void> {
    await this.#transport.done('POST', pathOf(id, '/kill'), { query: { signal } })
  }

  /** With its anonymous volumes. `force` kills it first. One that is gone already is no failure. */
  async remove(id: string, force: boolean): Promise<void> {
    try {
      await this.#transport.done('DELETE', pathOf(id), { query: { force: force ? 1 : 0, v: 1 } })
    } catch (error) {
      const leaving = error instanceof ApiError && error.status === 409 && error.message.includes('already in progress')
      if (!leaving && !(error instanceof ApiError && error.status === 404)) throw error
    }
  }

  /** Legal before the start: output then comes from the first byte. */
  attach(id: string): Promise<Hijacked> {
    return this.#transport.upgrade(pathOf(id, '/attach'), { query: { stream: 1, stdin: 1, stdout: 1, stderr: 1 } })
  }

  async resize(id: string, columns: number, rows: number): Promise<void> {
    await this.#transport.done('POST', pathOf(id, '/resize'), { query: { w: columns, h: rows } })
  }

  /** Resolves when the container next ends; ask before the start. */
  wait(id: string, signal?: AbortSignal): Promise<WaitAnswer> {
    const query = { condition: 'next-exit' }
    return this.#transport.json('POST', pathOf(id, '/wait'), { query, ...(signal ? { signal } : {}) })
  }

  /** What it wrote, the last `tail` lines first, then what follows until it ends. */
  async logs(id: string, tail: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { Config } = await this.inspect(id)
    const query = { follow: 1, stdout: 1, stderr: 1, tail }
    const response = await this.#transport.send('GET', pathOf(id, '/logs'), { query, signal })
    return payloads(response, !Config.Tty)
  }

  update(id: string, body: UpdateRequest): Promise<UpdateAnswer> {
    return this.#transport.json('POST', pathOf(id, '/update'), { body })
  }

  /** Whether the path exists in the container's file system. */
  async hasPath(id: string, path: string): Promise<boolean> {
    try {
      await this.#transport.done('HEAD', pathOf(id, '/archive'), { query: { path } })
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false
      throw error
    }
  }

  prune(): Promise<PruneContainersAnswer> {
    return this.#transport.json('POST', '/containers/prune')
  }

  namespaces(id: string): Promise<NamespaceList> {
    return this.#transport.json('GET', ownPathOf(id, '/namespaces'))
  }

  trace(id: string): Promise<Trace> {
    return this.#transport.json('GET', ownPathOf(id, '/trace'))
  }

  /** A sample each second until the container ends or `signal` aborts. */
  async *limits(id: string, signal: AbortSignal): AsyncGenerator<LimitsSample> {
    const response = await this.#transport.send('GET', ownPathOf(id, '/limits'), { query: { stream: 'true' }, signal })
    yield* jsonLines<LimitsSample>(response)
  }

  /** A connection to 127.0.0.1:port inside the container; ApiError 409 where nothing listens. */
  dial(id: string, port: number): Promise<Hijacked> {
    return this.#transport.upgrade(ownPathOf(id, '/dial'), { query: { port } })
  }
}
