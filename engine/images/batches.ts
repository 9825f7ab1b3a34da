/** Pieces that come one by one, put away many at a time: while one batch is under way, the next one gathers. */

/** Bytes, and pieces, that may wait; writev(2) takes 1,024 at once. */
const mostBytes = 1 << 20
const mostPieces = 512

export class Batches {
  readonly #put: (pieces: readonly Uint8Array[], bytes: number) => Promise<void>
  #held: Uint8Array[] = []
  #bytes = 0
  /** Fulfilled when the batch under way is done, or has failed. */
  #batch: Promise<void> | undefined
  #failure: { error: unknown } | undefined

  /** @param put is given one batch at a time, in order; after a failure none. */
  constructor(put: (pieces: readonly Uint8Array[], bytes: number) => Promise<void>) {
    this.#put = put
  }

  /** Waits where too much is waiting already. Throws what an earlier batch failed with. The piece is kept as it is. */
  async add(piece: Uint8Array): Promise<void> {
    while (this.#batch !== undefined && (this.#bytes >= mostBytes || this.#held.length >= mostPieces)) await this.#batch
    this.#throwFailure()
    this.#held.push(piece)
    this.#bytes += piece.byteLength
    if (this.#batch === undefined) this.#begin()
  }

  #begin(): void {
    const pieces = this.#held
    const bytes = this.#bytes
    this.#held = []
    this.#bytes = 0
    this.#batch = this.#put(pieces, bytes)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#batch = undefined
        if (this.#failure === undefined && this.#held.length > 0) this.#begin()
      })
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Waits until all is put away; throws what a batch failed with. */
  async end(): Promise<void> {
    while (this.#batch !== undefined) await this.#batch
    this.#throwFailure()
  }
}
