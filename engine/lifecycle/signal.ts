/** A signal as a user writes it. */
import { EngineError } from '../base/errors.ts'
import { parseSignal } from '../kernel/signals.table.ts'

export function signalNumber(text: string): number {
  const number = parseSignal(text)
  if (number === undefined) throw new EngineError('invalid', `invalid signal: ${text}`)
  return number
}
