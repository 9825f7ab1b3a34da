/** The supervisor of a container that has a process. */
import { EngineError } from '../base/errors.ts'
import type { Shim } from '../shim/shim.ts'
import type { Engine } from './engine.ts'

/** conflict when it has no process. */
export function shimOf(engine: Engine, id: string): Shim {
  const shim = engine.shims.get(id)
  if (shim === undefined) throw new EngineError('conflict', `container ${id} is not running`)
  return shim
}
