/** The lines of one layer in a pull or push stream; Docker's JSON messages, not more often than ten times a second. */
import type { OnProgress } from './image.ts'

/** Milliseconds between two lines that differ only in their numbers. */
const interval = 100

export class LayerReport {
  readonly #id: string
  readonly #onProgress: OnProgress | undefined
  #status = ''
  #next = 0

  /** @param id twelve hex digits: what clients overwrite the line by; empty where there is but one line */
  constructor(id: string, onProgress: OnProgress | undefined) {
    this.#id = id
    this.#onProgress = onProgress
  }

  /** A status that has been told is not repeated. */
  status(status: string): void {
    if (status === this.#status) return
    this.#status = status
    this.#onProgress?.({ status, progressDetail: {}, id: this.#id })
  }

  bytes(status: string, current: number, total: number): void {
    const now = performance.now()
    if (status === this.#status && now < this.#next && current < total) return
    this.#status = status
    this.#next = now + interval
    this.#onProgress?.({ status, progressDetail: { current, total }, ...(this.#id === '' ? {} : { id: this.#id }) })
  }
}
