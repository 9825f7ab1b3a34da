/** JSON from strangers: bounded in nesting before it is parsed, so that no later walk over it can exhaust the stack. */
import { EngineError } from './errors.ts'

const deepest = 64

/** Throws invalid; `what` names the document. */
export function checkDepth(bytes: Buffer, what: string): void {
  let depth = 0
  let quoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (quoted) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) quoted = false
    } else if (byte === 0x22) quoted = true
    else if (byte === 0x7b || byte === 0x5b) depth++
    else if (byte === 0x7d || byte === 0x5d) depth--
    if (depth > deepest) throw new EngineError('invalid', `${what} is nested more than ${deepest} levels deep`)
  }
}
