/**
 * $NOTIFY_SOCKET, sd_notify(3): the container gets a socket of its own in /run/notify. Of what it says there only its
 * readiness is passed on: whoever listens would believe everything else of the service, too.
 */
import { EngineError, messageOf } from '../../base/errors.ts'
import { close, PollSet, pipe, pollEvents, read, write } from '../../kernel/descriptors.ffi.ts'
import { connectDatagrams, sendDescriptors } from '../../kernel/unix-socket.ffi.ts'
import type { OciSpec } from '../../spec/oci.ts'
import type { Containers } from './containers.ts'
import type { Log } from './log.ts'
import { notifyName } from './state-store.ts'

const inside = '/run/notify'

/** Where the caller listens: a path, or `@` and a name of the network namespace; undefined where it does not. */
export function notifyTarget(): string | undefined {
  const { NOTIFY_SOCKET: target = '' } = process.env
  if (target === '') return undefined
  if (/^[/@]/.test(target)) return target
  throw new EngineError('invalid', `$NOTIFY_SOCKET: ${JSON.stringify(target)} is neither a path nor an abstract socket`)
}

/** @param directory where the container's socket will be */
export function withNotifySocket(spec: OciSpec, directory: string): OciSpec {
  const options = ['bind', 'nosuid', 'noexec', 'nodev', 'ro']
  const process = spec.process!
  return {
    ...spec,
    mounts: [...(spec.mounts ?? []), { destination: inside, type: 'bind', source: directory, options }],
    process: { ...process, env: [...(process.env ?? []), `NOTIFY_SOCKET=${inside}/${notifyName}`] },
  }
}

/** Milliseconds that the listener may take to confirm that it has read everything; sd_notify_barrier(3). */
const barrierPatience = 30_000
/** A datagram of sd_notify(3) is short; what is longer is cut off. */
const longest = 4096

export class NotifySocket implements Disposable {
  readonly fd: number
  readonly #target: string
  readonly #log: Log
  readonly #datagram = Buffer.allocUnsafeSlow(longest)
  #done = false

  private constructor(fd: number, target: string, log: Log) {
    this.fd = fd
    this.#target = target
    this.#log = log
  }

  /** Undefined where the caller does not listen, or the container was made for one that did not. */
  static open({ store, log }: Containers, id: string): NotifySocket | undefined {
    const target = notifyTarget()
    const fd = target === undefined ? undefined : store.openNotifySocket(id)
    return target === undefined || fd === undefined ? undefined : new NotifySocket(fd, target, log)
  }

  /** Reads what the container has said; whether it has said that it is ready. What comes later is read and forgotten. */
  take(): boolean {
    const count = read(this.fd, this.#datagram)
    if (count <= 0 || this.#done) return false
    const lines = this.#datagram.toString('utf8', 0, count).split('\n')
    this.#done = lines.includes('READY=1')
    return this.#done
  }

  /** Until the container is ready, which is passed on, or has ended: for callers that end then themselves. */
  untilReady({ pid, pidfd }: { pid: number; pidfd: number }): void {
    const polls = new PollSet()
    for (;;) {
      polls.clear()
      const said = polls.add(this.fd, pollEvents.POLLIN)
      const ended = polls.add(pidfd, pollEvents.POLLIN)
      polls.wait(-1)
      const speaks = polls.events(said) !== 0
      if (speaks && this.take()) {
        this.pass(pid, 'and wait')
        return
      }
      if (!speaks && polls.events(ended) !== 0) return
    }
  }

  /**
   * @param mainPid whose end is the end of the service: the container's process, or its supervisor where that stays
   * @param then who ends at once waits until the listener has looked where the words come from
   */
  pass(mainPid: number, then: 'and wait' | 'and go on'): void {
    using held = new DisposableStack()
    try {
      const socket = held.adopt(connectDatagrams(this.#target), close)
      const written = write(socket, Buffer.from(`READY=1\nMAINPID=${mainPid}\n`))
      if (written < 0) throw new Error(`errno ${-written}`)
      if (then === 'and wait' && !awaitBarrier(socket))
        this.#log.warn(`$NOTIFY_SOCKET: ${this.#target} has not confirmed within ${barrierPatience / 1000} s`)
    } catch (error) {
      this.#log.warn(`$NOTIFY_SOCKET: ${this.#target} is not told of the container: ${messageOf(error)}`)
    }
  }

  [Symbol.dispose](): void {
    close(this.fd)
  }
}

/** The listener closes the descriptor that it is sent, after all that came before. */
function awaitBarrier(socket: number): boolean {
  const { readEnd, writeEnd } = pipe()
  try {
    sendDescriptors(socket, Buffer.from('BARRIER=1'), [writeEnd])
  } finally {
    close(writeEnd)
  }
  const polls = new PollSet()
  const slot = polls.add(readEnd, 0)
  polls.wait(barrierPatience)
  const answered = polls.events(slot) !== 0
  close(readEnd)
  return answered
}
