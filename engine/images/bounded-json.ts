/** JSON from registries and archives. */
import { EngineError } from '../base/errors.ts'
import { checkDepth } from '../base/json-depth.ts'

/** Throws invalid; `what` names the document. */
export function parseJson(bytes: Buffer, what: string): unknown {
  checkDepth(bytes, what)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new EngineError('invalid', `${what} is not JSON`, { cause: error })
  }
}
