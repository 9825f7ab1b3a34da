/** Signals that a foreground command passes on to the container's process. */
import { blockSignals, signalDescriptor } from '../../kernel/signals.ffi.ts'
import { signalNumbers } from '../../kernel/signals.table.ts'

/** Those that say something of this process itself, or cannot be held back. */
const own: ReadonlySet<number> = new Set([
  signalNumbers.SIGKILL,
  signalNumbers.SIGSTOP,
  signalNumbers.SIGSEGV,
  signalNumbers.SIGBUS,
  signalNumbers.SIGILL,
  signalNumbers.SIGFPE,
  signalNumbers.SIGTRAP,
  signalNumbers.SIGSYS,
  // The C library's own: 32 and 33.
  32,
  33,
])

const held = Array.from({ length: signalNumbers.SIGRTMAX }, (_, index) => index + 1).filter(
  (number) => !own.has(number),
)

/**
 * Precondition: no other thread of the process takes them (`parkOtherThreads`).
 *
 * From here on signals wait at the returned descriptor. Before the container's process is forked, so that none is lost
 * in between; the process itself starts with nothing blocked (`resetSignals`).
 */
export function holdSignals(): number {
  blockSignals(held)
  return signalDescriptor(held)
}
