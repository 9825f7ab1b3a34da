import type { CreateExecAnswer, CreateExecRequest, ExecInspect } from '../../engine/api/contract/docker.ts'
import type { Hijacked, Transport } from './transport.ts'

/** A further process in a running container. */
export class ExecCalls {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  create(containerId: string, body: CreateExecRequest): Promise<CreateExecAnswer> {
    return this.#transport.json('POST', `/containers/${encodeURIComponent(containerId)}/exec`, { body })
  }

  start(id: string, body: { Tty: boolean; ConsoleSize?: [number, number] }): Promise<Hijacked> {
    return this.#transport.upgrade(`/exec/${id}/start`, { body: { Detach: false, ...body } })
  }

  async resize(id: string, columns: number, rows: number): Promise<void> {
    await this.#transport.done('POST', `/exec/${id}/resize`, { query: { w: columns, h: rows } })
  }

  inspect(id: string): Promise<ExecInspect> {
    return this.#transport.json('GET', `/exec/${id}/json`)
  }
}
