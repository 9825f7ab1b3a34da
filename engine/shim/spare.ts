/**
 * A shim that was forked before anybody asked. All but the container's files is in place: it has gone through what it will
 * do, the daemon has its socket, and nobody waits for a fork. It ends when nobody has the other end of its socket.
 */
import { close } from '../kernel/descriptors.ffi.ts'
import { clone, currentPid, exit, setProcessName } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import { warmUp } from '../runtime/rehearsal.ts'
import { settle } from './fork-shim.ts'
import { warmUpTalk } from './rehearsal.ts'
import { type Inherited, live, shimName, spareName, tell } from './shim-life.ts'

/** The other end of its socket. */
function forkSpare(inherited: Inherited): number {
  const [ours, theirs] = socketPair()
  try {
    if (clone({ flags: 0n }).pid === 0) runSpare(theirs, inherited)
    return ours
  } catch (error) {
    close(ours)
    throw error
  } finally {
    close(theirs)
  }
}

/** Whatever happens it ends here: an error that left the child would leave it standing, with all that its parent has. */
function runSpare(socket: number, inherited: Inherited): never {
  try {
    const settled = settle(socket, shimName)
    warmUp(inherited.cgroups)
    warmUpTalk()
    tell(settled.first, { event: 'hello', pid: currentPid(), containerPid: 0, execs: [] })
    setProcessName(spareName)
    return live(inherited, settled)
  } finally {
    exit(70)
  }
}

/** Has the daemon take a spare's socket, one at a time. */
export class SpareMaker {
  readonly #inherited: Inherited
  readonly #offer: (socket: number) => void
  #offered: number | undefined
  #wanted = true

  /** @param offer tells the daemon, which has taken a copy when `handed` is called */
  constructor(inherited: Inherited, offer: (socket: number) => void) {
    this.#inherited = inherited
    this.#offer = offer
  }

  make(): void {
    if (!this.#wanted || this.#offered !== undefined) return
    try {
      this.#offered = forkSpare(this.#inherited)
    } catch {
      // Where the machine has no more to give, the next who asks is told.
      return
    }
    this.#offer(this.#offered)
  }

  /** @param possible whether the daemon can take one: else there are to be no more */
  handed(possible: boolean): void {
    if (this.#offered !== undefined) close(this.#offered)
    this.#offered = undefined
    this.#wanted = possible
  }
}
