/**
 * The daemon's control connection to a shim: questions and their answers, and what the shim says unasked. It may be there
 * before the container, and after it: a shim whose container has gone waits on it for the next.
 */
import type { Socket } from 'node:net'
import { EngineError } from '../base/errors.ts'
import { errorOf } from './failure.ts'
import {
  type EventFrame,
  encodeFrame,
  FrameReader,
  type HelloFrame,
  type ShimAnswer,
  type ShimFrame,
  type ShimRequest,
} from './protocol.ts'

type Waiting = { resolve: (answer: ShimAnswer) => void; reject: (error: Error) => void }

export type ChannelListener = {
  heard(frame: Exclude<EventFrame, HelloFrame>): void
  /** The shim has ended without a word. */
  lost(): void
}

/** Of a shim without a container there is nothing to hear. */
export const nobody: ChannelListener = { heard: () => undefined, lost: () => undefined }

const gone = (): EngineError => new EngineError('internal', 'the supervisor of the container ended unexpectedly')

export class ControlChannel {
  readonly #socket: Socket
  readonly #frames = new FrameReader()
  readonly #waiting = new Map<number, Waiting>()
  readonly #hello = Promise.withResolvers<HelloFrame>()
  #early: Exclude<EventFrame, HelloFrame>[] = []
  #listener: ChannelListener | undefined
  #number = 0
  #closed = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#hello.promise.catch(() => undefined)
    socket.on('data', (chunk: Buffer) => {
      this.#frames.add(chunk)
      for (let frame = this.#next(); frame !== undefined; frame = this.#next()) this.#take(frame)
    })
    socket.on('error', () => socket.destroy())
    socket.once('end', () => socket.end())
    socket.once('close', () => this.#lost())
  }

  /** The shim has gone. */
  get closed(): boolean {
    return this.#closed
  }

  /** The shim's first word; rejects where it ends before. */
  get greeted(): Promise<HelloFrame> {
    return this.#hello.promise
  }

  /** Who hears of everything from now on, and of what came after the greeting. */
  listen(listener: ChannelListener): void {
    this.#listener = listener
    for (const frame of this.#early.splice(0)) listener.heard(frame)
    if (this.#closed) listener.lost()
  }

  ask(request: ShimRequest): Promise<ShimAnswer> {
    if (this.#closed) return Promise.reject(gone())
    this.#number += 1
    const number = this.#number
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#socket.write(encodeFrame({ number, ...request }))
    })
  }

  /** Its listener hears no more. */
  close(): void {
    this.#closed = true
    this.#listener = nobody
    this.#socket.destroy()
  }

  #next(): ShimFrame | undefined {
    return this.#frames.next<ShimFrame>()
  }

  #take(frame: ShimFrame): void {
    if (!('event' in frame)) {
      const waiting = this.#waiting.get(frame.number)
      this.#waiting.delete(frame.number)
      if ('error' in frame) waiting?.reject(errorOf(frame.error))
      else waiting?.resolve(frame.ok)
    } else if (frame.event === 'hello') this.#hello.resolve(frame)
    else if (this.#listener === undefined) this.#early.push(frame)
    else this.#listener.heard(frame)
  }

  #lost(): void {
    this.#closed = true
    this.#hello.reject(new EngineError('conflict', 'the supervisor of the container closed its connection'))
    for (const { reject } of this.#waiting.values()) reject(gone())
    this.#waiting.clear()
    this.#listener?.lost()
  }
}
