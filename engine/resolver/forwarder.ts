/**
 * Questions for the servers beyond the networks: one after the other, each with its time, over what the client itself
 * asked by. Each question has a socket and an identifier of its own, so that an answer is hard to forge.
 */
import { addressBytes, parseAddress } from '../base/address.ts'
import { again, close, pollEvents, read, write } from '../kernel/descriptors.ffi.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import { beginConnection, connectDatagrams } from '../kernel/network-socket.ffi.ts'
import { randomShort } from '../kernel/random.ffi.ts'
import { answerCode, responseCodes, type Transport, withIdentifier } from './dns-message.ts'
import { type PollLoop, Sweep } from './poll-loop.ts'

/** Questions on their way at a time; one more is refused at once. */
const mostAttempts = 256
const namePort = 53

export type Forward = {
  message: Buffer
  question: Buffer
  transport: Transport
  servers: readonly string[]
  /** Milliseconds for each server. */
  patience: number
  /** Whether this server is asked from the container's network, or from the machine's. */
  fromInside: (server: string) => boolean
  /** Called once; undefined: nobody had an answer. */
  reply: (answer: Buffer | undefined) => void
}

type Job = Forward & { next: number; lastAnswer?: Buffer }
type Attempt = { job: Job; fd: number; id: number; due: number; outgoing: Buffer; incoming: Buffer }

const received = Buffer.alloc(65535)

/** With these a server says that another one should be asked. */
const passedOn: readonly number[] = [responseCodes.SERVFAIL, responseCodes.NOTIMP, responseCodes.REFUSED]

export class Forwarder implements Disposable {
  readonly #loop: PollLoop
  readonly #netnsPath: string
  readonly #attempts = new Set<Attempt>()
  readonly #sweep: Sweep

  constructor(loop: PollLoop, netnsPath: string) {
    this.#loop = loop
    this.#netnsPath = netnsPath
    this.#sweep = new Sweep(loop, (now) => this.#endOverdue(now))
  }

  forward(forward: Forward): void {
    if (this.#attempts.size >= mostAttempts) forward.reply(undefined)
    else this.#askNext({ ...forward, next: 0 })
  }

  #askNext(job: Job): void {
    while (job.next < job.servers.length) {
      const server = job.servers[job.next]!
      job.next += 1
      try {
        this.#ask(job, server)
        return
      } catch {
        // No way to this one (no route, no address of its family): the next.
      }
    }
    job.reply(job.lastAnswer)
  }

  #ask(job: Job, server: string): void {
    const address = parseAddress(server)
    if (address === undefined) throw new Error(`name server ${JSON.stringify(server)} is no address`)
    const open = (): number =>
      (job.transport === 'stream' ? beginConnection : connectDatagrams)(addressBytes(address), namePort, server)
    const fd = job.fromInside(server) ? inNetworkNamespace(this.#netnsPath, open) : open()
    const id = randomShort()
    const message = withIdentifier(job.message, id)
    const outgoing = job.transport === 'stream' ? framed(message) : message
    const attempt = { job, fd, id, due: performance.now() + job.patience, outgoing, incoming: Buffer.alloc(0) }
    this.#attempts.add(attempt)
    this.#loop.watch(fd, {
      wants: () => (attempt.outgoing.length > 0 ? pollEvents.POLLOUT : pollEvents.POLLIN),
      ready: () => this.#proceed(attempt),
    })
    this.#sweep.arm(attempt.due)
  }

  #proceed(attempt: Attempt): void {
    if (attempt.outgoing.length > 0) {
      const taken = write(attempt.fd, attempt.outgoing)
      if (taken === again) return
      if (taken < 0) this.#fail(attempt)
      else attempt.outgoing = attempt.outgoing.subarray(taken)
      return
    }
    const length = read(attempt.fd, received)
    if (length === again) return
    if (attempt.job.transport === 'datagram') {
      // An empty datagram is no end, but no answer either.
      if (length < 0) this.#fail(attempt)
      else this.#judge(attempt, received.subarray(0, length))
      return
    }
    if (length <= 0) {
      this.#fail(attempt)
      return
    }
    attempt.incoming = Buffer.concat([attempt.incoming, received.subarray(0, length)])
    const whole = firstFrame(attempt.incoming)
    if (whole !== undefined && !this.#judge(attempt, whole)) this.#fail(attempt)
  }

  /** False: not the answer to this question. */
  #judge(attempt: Attempt, bytes: Buffer): boolean {
    const { job, id } = attempt
    const code = answerCode(bytes, id, job.question)
    if (code === undefined) return false
    const answer = withIdentifier(bytes, job.message.readUInt16BE(0))
    this.#end(attempt)
    if (passedOn.includes(code)) {
      job.lastAnswer = answer
      this.#askNext(job)
    } else job.reply(answer)
    return true
  }

  #fail(attempt: Attempt): void {
    this.#end(attempt)
    this.#askNext(attempt.job)
  }

  #end(attempt: Attempt): void {
    this.#attempts.delete(attempt)
    this.#loop.forget(attempt.fd)
    close(attempt.fd)
  }

  #endOverdue(now: number): number | undefined {
    for (const attempt of [...this.#attempts]) if (attempt.due <= now) this.#fail(attempt)
    return this.#attempts.size === 0 ? undefined : Math.min(...[...this.#attempts].map(({ due }) => due))
  }

  [Symbol.dispose](): void {
    for (const attempt of [...this.#attempts]) this.#end(attempt)
  }
}

/** Over a stream each message follows its length; RFC 1035 section 4.2.2. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** The message at the beginning, undefined while it is not whole. */
export function firstFrame(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 2) return undefined
  const end = 2 + bytes.readUInt16BE(0)
  return bytes.length < end ? undefined : bytes.subarray(2, end)
}
