import type { Info, Version } from '../../engine/api/contract/docker-store.ts'
import type { CgroupTree, NamespaceList, PrunePreview, PrunePreviewRequest } from '../../engine/api/contract/drydock.ts'
import { ContainerCalls } from './container-calls.ts'
import { ExecCalls } from './exec-calls.ts'
import { StoreCalls } from './store-calls.ts'
import { Transport } from './transport.ts'

/** Everything the face asks of the engine. Each method is one call of the Docker API or of Drydock's own part of it. */
export class EngineClient {
  readonly containers: ContainerCalls
  readonly exec: ExecCalls
  readonly store: StoreCalls
  readonly #transport: Transport

  constructor(socketPath: string) {
    this.#transport = new Transport(socketPath)
    this.containers = new ContainerCalls(this.#transport)
    this.exec = new ExecCalls(this.#transport)
    this.store = new StoreCalls(this.#transport)
  }

  get socketPath(): string {
    return this.#transport.socketPath
  }

  /** Rejects with UnreachableError where nobody answers. */
  async ping(signal: AbortSignal = AbortSignal.timeout(3000)): Promise<void> {
    await this.#transport.done('GET', '/_ping', { signal })
  }

  version(): Promise<Version> {
    return this.#transport.json('GET', '/version')
  }

  info(): Promise<Info> {
    return this.#transport.json('GET', '/info')
  }

  /** The byte stream of `GET /events`. */
  events(since: string | undefined, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#transport.send('GET', '/events', { query: { since }, signal })
  }

  namespaces(): Promise<NamespaceList> {
    return this.#transport.json('GET', '/drydock/namespaces')
  }

  cgroups(): Promise<CgroupTree> {
    return this.#transport.json('GET', '/drydock/cgroups')
  }

  prunePreview(body: PrunePreviewRequest, signal?: AbortSignal): Promise<PrunePreview> {
    return this.#transport.json('POST', '/drydock/prune/preview', { body, ...(signal ? { signal } : {}) })
  }
}
