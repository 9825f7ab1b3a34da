import type { Point } from '../../webview/messages.ts'
import { isAbort, messageOf } from '../engine-client/errors.ts'
import type { Face } from '../face.ts'
import { historyLength, PointMaker } from './points.ts'

/** A container's samples while they are wanted, and the last five minutes of them. */
export class LimitsFeed {
  readonly #face: Face
  readonly #id: string
  readonly #tell: (point: Point) => void
  readonly history: Point[] = []
  #abort: AbortController | undefined

  constructor(face: Face, id: string, tell: (point: Point) => void) {
    this.#face = face
    this.#id = id
    this.#tell = tell
  }

  start(): void {
    if (this.#abort) return
    const abort = new AbortController()
    this.#abort = abort
    void this.#read(abort)
  }

  stop(): void {
    this.#abort?.abort()
    this.#abort = undefined
  }

  /** Ends with the container, or when it is stopped. */
  async #read(abort: AbortController): Promise<void> {
    const maker = new PointMaker()
    try {
      const client = await this.#face.client()
      for await (const sample of client.containers.limits(this.#id, abort.signal)) {
        const point = maker.push(sample)
        this.history.push(point)
        if (this.history.length > historyLength) this.history.shift()
        this.#tell(point)
      }
    } catch (error) {
      if (!isAbort(error)) this.#face.log.warn(messageOf(error))
    }
    if (this.#abort === abort) this.#abort = undefined
  }
}
