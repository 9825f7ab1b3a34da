/** A connection to a port inside a container, published or not. */
import type { Socket } from 'node:net'
import { EngineError } from '../base/errors.ts'
import type { Engine } from './engine.ts'
import { hasProcess } from './state-table.ts'

/** To 127.0.0.1:port as the container's processes see it. conflict where it does not run or nothing listens. */
export async function dial(engine: Engine, reference: string, port: number): Promise<Socket> {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new EngineError('invalid', `invalid port: ${port}`)
  const { id, run } = engine.table.get(reference)
  if (!hasProcess(run.state)) throw new EngineError('conflict', `container ${id} is not running`)
  return engine.networks.dial(`/proc/${run.pid}/ns/net`, port)
}
