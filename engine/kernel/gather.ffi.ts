/** writev(2): many pieces of memory in one call, none of them copied together first. */
import { errnoNumbers } from './errno.table.ts'
import { addressOf, declareRaw, SyscallError } from './libc.ffi.ts'

const cWritev = declareRaw('intptr_t writev(int fd, void *pieces, int count)')

/** IOV_MAX of Linux. */
const most = 1024
/** struct iovec: the address in two halves, then the length in two. */
const words = 4
const half = 2 ** 32

/** Memory that pieces are taken from. It must not be transferred or resized for as long as pieces of it are not written. */
export class PieceSource {
  readonly buffer: Buffer
  readonly low: number
  readonly high: number

  constructor(buffer: Buffer) {
    const address = addressOf(buffer)
    this.buffer = buffer
    this.low = Number(address & 0xffffffffn)
    this.high = Number(address >> 32n)
  }
}

/** Pieces in the order of their adding, written all at once. Adding allocates nothing. */
export class Gather {
  readonly #table = Buffer.alloc(most * words * 4)
  readonly #words = new Uint32Array(this.#table.buffer, this.#table.byteOffset, most * words)
  #count = 0
  #bytes = 0

  /** Of all pieces. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many more pieces it takes. */
  get room(): number {
    return most - this.#count
  }

  /** Precondition: there is room. The bytes are read when `write` is called, not before. */
  add(source: PieceSource, from: number, length: number): void {
    if (length === 0) return
    const at = this.#count * words
    const low = source.low + from
    this.#words[at] = low
    this.#words[at + 1] = low < half ? source.high : source.high + 1
    this.#words[at + 2] = length
    this.#count += 1
    this.#bytes += length
  }

  /** Takes bytes off the end of the last piece. */
  shorten(bytes: number): void {
    this.#words[(this.#count - 1) * words + 2]! -= bytes
    this.#bytes -= bytes
  }

  /** Afterwards it is empty, also where it throws: then some of the pieces may have been written. */
  write(fd: number): void {
    const count = this.#count
    this.#count = 0
    this.#bytes = 0
    for (let first = 0; first < count; ) {
      const taken = cWritev(fd, first === 0 ? this.#table : this.#table.subarray(first * words * 4), count - first)
      if (taken === -errnoNumbers.EINTR) continue
      if (taken < 0) throw new SyscallError('writev', -taken, `${count - first} pieces`)
      first = this.#consume(first, taken)
    }
  }

  /** A file that is nearly full takes a part: what is left of that piece is the next to go. */
  #consume(first: number, taken: number): number {
    let piece = first
    let rest = taken
    while (piece * words < this.#words.length && rest >= this.#words[piece * words + 2]!) {
      rest -= this.#words[piece * words + 2]!
      piece += 1
      if (rest === 0) return piece
    }
    const at = piece * words
    const low = this.#words[at]! + rest
    this.#words[at] = low
    if (low >= half) this.#words[at + 1]! += 1
    this.#words[at + 2]! -= rest
    return piece
  }
}
