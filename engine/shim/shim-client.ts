/** The daemon's side of a shim's socket: one control connection, and one more for each attachment. */
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { EngineError } from '../base/errors.ts'
import { timestamp } from '../base/time.ts'
import type { OciResources } from '../spec/oci.ts'
import { type ChannelListener, ControlChannel } from './control-channel.ts'
import { errorOf, notStarted } from './failure.ts'
import { socketName } from './fork-shim.ts'
import {
  type AnswerFrame,
  encodeFrame,
  FrameReader,
  type HelloFrame,
  type ShimAnswer,
  type ShimFrame,
  type ShimRequest,
} from './protocol.ts'
import type { AttachStreams, ExecRequest, LogPosition, ProcessExit, RuntimeSpan, Shim } from './shim.ts'

/**
 * A process's output, whose end is passed on when its exit is known. The exit comes on the control connection, and of two
 * connections that are ready at once either may be read first; whoever sees the end asks for the exit code right then.
 */
class OutputSocket extends Socket {
  readonly #exited: Promise<unknown>

  constructor(exited: Promise<unknown>) {
    super({ allowHalfOpen: true })
    this.#exited = exited
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk !== null) return super.push(chunk)
    void this.#exited.then(() => super.push(null))
    return false
  }
}

/** Through the directory's descriptor: a socket's own path is at most 107 bytes; unix(7). */
function openSocket(directory: string, socket = new Socket({ allowHalfOpen: true })): Promise<Socket> {
  const fd = openSync(directory, constants.O_DIRECTORY)
  return new Promise((resolve, reject) => {
    socket.connect({ path: `/proc/self/fd/${fd}/${socketName}` })
    let settled = false
    // A connection that was made may still fail later, and by then the number can be another file's.
    const settle = (act: () => void) => {
      if (settled) return
      settled = true
      closeSync(fd)
      act()
    }
    socket.once('connect', () => settle(() => resolve(socket)))
    socket.once('error', (error) => settle(() => reject(error)))
  })
}

/**
 * The shim's answer; words before it are dropped, what follows it stays in the socket. Reads without making the stream flow,
 * so that whoever gets the socket decides when it does.
 */
function firstAnswer(socket: Socket): Promise<AnswerFrame> {
  const frames = new FrameReader()
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.off('readable', look).off('close', refuse).off('error', refuse)
    }
    const refuse = (): void => {
      stop()
      reject(new EngineError('conflict', 'the supervisor of the container closed its connection'))
    }
    const look = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
        frames.add(chunk)
      for (let frame = frames.next<ShimFrame>(); frame !== undefined; frame = frames.next<ShimFrame>()) {
        if ('event' in frame) continue
        stop()
        // Now, not after a promise: where the other side has ended already, `end` comes in between and the rest is lost.
        const rest = frames.rest()
        if (rest.length > 0) socket.unshift(rest)
        resolve(frame)
        return
      }
    }
    socket.on('readable', look).once('close', refuse).once('error', refuse)
  })
}

/** A shim that went without a word: the container's end is a guess. */
const lostExit = (): ProcessExit => ({ exitCode: 137, exitedAt: timestamp(), oomKilled: false, shimLost: true })

/** Who has shims for containers. */
export type ShimOwner = {
  started(directory: string): void
  /** A shim's container has gone. False where nobody needs it. */
  free(channel: ControlChannel, directory: string): boolean
}

const nobodys: ShimOwner = { started: () => undefined, free: () => false }

export class ShimClient implements Shim {
  readonly #directory: string
  readonly #channel: ControlChannel
  readonly #owner: ShimOwner
  readonly #execs = new Map<string, PromiseWithResolvers<ProcessExit>>()
  readonly #exit = Promise.withResolvers<ProcessExit>()
  #ended = false
  #released: Promise<void> | undefined
  #pid: number
  #containerPid: number

  private constructor(directory: string, channel: ControlChannel, hello: HelloFrame, owner: ShimOwner) {
    this.#directory = directory
    this.#channel = channel
    this.#owner = owner
    this.#pid = hello.pid
    this.#containerPid = hello.containerPid
    if (hello.exit !== undefined) this.#containerEnded(hello.exit)
    for (const { execId, exit } of hello.execs) {
      const promise = this.#execExit(execId)
      if (exit !== undefined) promise.resolve(exit)
    }
    channel.listen({ heard: (frame) => this.#heard(frame), lost: () => this.#lost() })
  }

  /** Connects and hears the shim's greeting. Rejects where nothing listens. */
  static async connect(directory: string, owner = nobodys): Promise<ShimClient> {
    const channel = new ControlChannel(await openSocket(directory))
    return new ShimClient(directory, channel, await channel.greeted, owner)
  }

  /**
   * Gives a shim without a container the one of the directory. Undefined where the shim has gone; rejects with its reason
   * where it cannot have the container.
   */
  static async adopt(directory: string, channel: ControlChannel, owner: ShimOwner): Promise<ShimClient | undefined> {
    try {
      const { pid } = await channel.greeted
      await channel.ask({ op: 'adopt', directory })
      return new ShimClient(directory, channel, { event: 'hello', pid, containerPid: 0, execs: [] }, owner)
    } catch (error) {
      if (channel.closed) return undefined
      channel.close()
      throw notStarted(error)
    }
  }

  get pid(): number {
    return this.#pid
  }

  get containerPid(): number {
    return this.#containerPid
  }

  get exited(): Promise<ProcessExit> {
    return this.#exit.promise
  }

  async execExited(execId: string): Promise<ProcessExit> {
    const exit = await this.#execExit(execId).promise
    this.#execs.delete(execId)
    return exit
  }

  async create(): Promise<{ pid: number; spans: RuntimeSpan[] }> {
    const { pid = 0, spans = [] } = await this.#ask({ op: 'create' })
    this.#containerPid = pid
    return { pid, spans }
  }

  async start(): Promise<{ spans: RuntimeSpan[] }> {
    const { spans = [] } = await this.#ask({ op: 'start' })
    this.#owner.started(this.#directory)
    return { spans }
  }

  async exec(request: ExecRequest): Promise<{ pid: number }> {
    const { pid = 0 } = await this.#ask({ op: 'exec', request })
    return { pid }
  }

  async execAttached(request: ExecRequest, streams: AttachStreams): Promise<{ pid: number; stream: Duplex }> {
    const output = new OutputSocket(this.#execExit(request.execId).promise)
    try {
      const { answer, stream } = await this.#openStream({ op: 'exec', request, streams }, output)
      return { pid: answer.pid ?? 0, stream }
    } catch (error) {
      this.#execs.delete(request.execId)
      throw error
    }
  }

  async kill(signal: number, execId?: string): Promise<void> {
    await this.#ask({ op: 'kill', signal, ...(execId === undefined ? {} : { execId }) })
  }

  async killAll(): Promise<void> {
    await this.#ask({ op: 'kill-all' })
  }

  async resize(size: { height: number; width: number }, execId?: string): Promise<void> {
    await this.#ask({ op: 'resize', size, ...(execId === undefined ? {} : { execId }) })
  }

  async closeStdin(execId?: string): Promise<void> {
    await this.#ask({ op: 'close-stdin', ...(execId === undefined ? {} : { execId }) })
  }

  async pause(): Promise<void> {
    await this.#ask({ op: 'pause' })
  }

  async resume(): Promise<void> {
    await this.#ask({ op: 'resume' })
  }

  async update(resources: OciResources): Promise<void> {
    await this.#ask({ op: 'update', resources })
  }

  async serveNames(): Promise<void> {
    await this.#ask({ op: 'serve-names' })
  }

  release(): Promise<void> {
    this.#released ??= this.#letGo()
    return this.#released
  }

  async #letGo(): Promise<void> {
    if (this.#ended) return
    // Whatever is asked behind it would be asked of the next container.
    this.#ended = true
    const { again } = await this.#channel.ask({ op: 'release' }).catch(() => ({ again: undefined }))
    if (again !== true || !this.#owner.free(this.#channel, this.#directory)) this.#channel.close()
  }

  async attach(streams: AttachStreams, execId?: string): Promise<Duplex> {
    const { stream } = await this.#openStream({ op: 'attach', streams, ...(execId === undefined ? {} : { execId }) })
    return stream
  }

  async attachAfterLog(streams: AttachStreams): Promise<{ stream: Duplex; log?: LogPosition }> {
    const { answer, stream } = await this.#openStream({ op: 'attach', streams, afterLog: true })
    return answer.log === undefined ? { stream } : { stream, log: answer.log }
  }

  /** A connection of its own: one question, its answer, then the bytes of a process. */
  async #openStream(request: ShimRequest, via?: Socket): Promise<{ answer: ShimAnswer; stream: Duplex }> {
    const socket = await openSocket(this.#directory, via)
    socket.write(encodeFrame({ number: 1, ...request }))
    const answer = await firstAnswer(socket)
    socket.on('error', () => socket.destroy())
    if ('error' in answer) {
      socket.destroy()
      throw errorOf(answer.error)
    }
    return { answer: answer.ok, stream: socket }
  }

  #heard(frame: Parameters<ChannelListener['heard']>[0]): void {
    if (frame.event === 'exit') this.#containerEnded(frame.exit)
    else this.#execExit(frame.execId).resolve(frame.exit)
  }

  #ask(request: ShimRequest): Promise<ShimAnswer> {
    if (this.#ended)
      return Promise.reject(new EngineError('not-found', 'the container has ended: its supervisor is gone'))
    return this.#channel.ask(request)
  }

  #execExit(execId: string): PromiseWithResolvers<ProcessExit> {
    const known = this.#execs.get(execId)
    if (known !== undefined) return known
    const promise = Promise.withResolvers<ProcessExit>()
    this.#execs.set(execId, promise)
    return promise
  }

  #containerEnded(exit: ProcessExit): void {
    this.#exit.resolve(exit)
    // An exec's process dies with the container; one that was not reaped in time has no code of its own.
    for (const exec of this.#execs.values()) exec.resolve({ ...exit, exitCode: 137 })
  }

  #lost(): void {
    this.#ended = true
    this.#containerEnded(lostExit())
  }
}
