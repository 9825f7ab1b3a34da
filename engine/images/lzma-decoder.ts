/**
 * LZMA, as the chunks of LZMA2 hold it: bits whose likelihood is learnt, which are literals, or lengths and distances into what was
 * written before. Pure; damaged input ends in an exception, and reads and writes nothing beyond its buffers.
 */
import { EngineError } from '../base/errors.ts'

export const damaged = (why: string): EngineError =>
  new EngineError('invalid', `the archive's xz data is damaged: ${why}`)

const top = 2 ** 24
const even = 1024
const states = 12
const shortestMatch = 2

const learning = (size: number): Uint16Array => new Uint16Array(size).fill(even)

/** One chunk's packed bytes, as bits. */
class RangeDecoder {
  readonly #bytes: Buffer
  #at = 5
  #range = 0xffffffff
  #code: number

  constructor(bytes: Buffer) {
    if (bytes.length < 5 || bytes[0] !== 0) throw damaged('a chunk does not begin as it should')
    this.#bytes = bytes
    this.#code = bytes.readUInt32BE(1)
  }

  /** All read, and nothing left over. */
  get finished(): boolean {
    return this.#at === this.#bytes.length && this.#code === 0
  }

  #normalize(): void {
    if (this.#range >= top) return
    if (this.#at >= this.#bytes.length) throw damaged('a chunk ends early')
    this.#range = (this.#range << 8) >>> 0
    this.#code = ((this.#code << 8) | (this.#bytes[this.#at++] as number)) >>> 0
  }

  bit(likely: Uint16Array, index: number): number {
    const value = likely[index] as number
    const bound = (this.#range >>> 11) * value
    let bit = 0
    if (this.#code < bound) {
      this.#range = bound
      likely[index] = value + ((2048 - value) >>> 5)
    } else {
      this.#range -= bound
      this.#code -= bound
      likely[index] = value - (value >>> 5)
      bit = 1
    }
    this.#normalize()
    return bit
  }

  /** `count` bits that are as likely as not, highest first. */
  even(count: number): number {
    let value = 0
    for (let nth = 0; nth < count; nth += 1) {
      this.#range >>>= 1
      const bit = this.#code >= this.#range ? 1 : 0
      if (bit === 1) this.#code -= this.#range
      this.#normalize()
      value = ((value << 1) | bit) >>> 0
    }
    return value
  }

  /** `count` bits, highest first, each learnt by those before it; its part of `likely` begins at `at`. */
  tree(likely: Uint16Array, at: number, count: number): number {
    let node = 1
    for (let nth = 0; nth < count; nth += 1) node = (node << 1) | this.bit(likely, at + node)
    return node - (1 << count)
  }

  /** As `tree`, lowest first. */
  treeUp(likely: Uint16Array, at: number, count: number): number {
    let [node, value] = [1, 0]
    for (let nth = 0; nth < count; nth += 1) {
      const bit = this.bit(likely, at + node)
      node = (node << 1) | bit
      value |= bit << nth
    }
    return value
  }
}

class LengthModel {
  readonly #choice = learning(2)
  readonly #low = learning(16 * 8)
  readonly #middle = learning(16 * 8)
  readonly #high = learning(256)

  read(bits: RangeDecoder, position: number): number {
    if (bits.bit(this.#choice, 0) === 0) return shortestMatch + bits.tree(this.#low, position * 8, 3)
    if (bits.bit(this.#choice, 1) === 0) return shortestMatch + 8 + bits.tree(this.#middle, position * 8, 3)
    return shortestMatch + 16 + bits.tree(this.#high, 0, 8)
  }
}

/** What has been learnt since the last reset. */
class Model {
  readonly isMatch = learning(states * 16)
  readonly isRepeat = learning(states)
  readonly isOlder = [learning(states), learning(states), learning(states)] as const
  readonly isLong = learning(states * 16)
  readonly slots = learning(4 * 64)
  readonly special = learning(128)
  readonly align = learning(16)
  readonly matchLength = new LengthModel()
  readonly repeatLength = new LengthModel()
  readonly literals: Uint16Array

  constructor(contexts: number) {
    this.literals = learning(contexts * 0x300)
  }
}

/** Bytes that are given on, and decoded before others have their turn. */
const pieceSize = 64 * 1024
const longestMatch = 273

/** What was written: a ring as large as the stream says, which matches point into, and what has not been given on yet. */
export class Output {
  readonly #ring: Buffer
  #at = 0
  #filled = 0
  #piece = Buffer.allocUnsafe(pieceSize + longestMatch)
  #held = 0
  /** Bytes since the last reset, for the contexts that go by position. */
  position = 0

  /** @param size of the ring, in bytes */
  constructor(size: number) {
    // Zeroed pages, which the kernel gives out only as they are written to.
    this.#ring = Buffer.alloc(size)
  }

  get size(): number {
    return this.#ring.length
  }

  reset(): void {
    this.#filled = 0
    this.position = 0
  }

  get full(): boolean {
    return this.#held >= pieceSize
  }

  take(): Buffer {
    const piece = this.#piece.subarray(0, this.#held)
    this.#piece = Buffer.allocUnsafe(pieceSize + longestMatch)
    this.#held = 0
    return piece
  }

  /** The byte that is as far back; 0 is the last one. Zero before the first. */
  byteAt(distance: number): number {
    if (distance >= this.#filled) return 0
    const at = this.#at - distance - 1
    return this.#ring[at < 0 ? at + this.#ring.length : at] as number
  }

  put(byte: number): void {
    this.#ring[this.#at] = byte
    this.#at = this.#at + 1 === this.#ring.length ? 0 : this.#at + 1
    if (this.#filled < this.#ring.length) this.#filled += 1
    this.#piece[this.#held++] = byte
    this.position += 1
  }

  /** @param length longestMatch at most */
  repeat(distance: number, length: number): void {
    if (distance >= this.#filled) throw damaged('a match begins before the data')
    for (let nth = 0; nth < length; nth += 1) this.put(this.byteAt(distance))
  }
}

export type Properties = { literalContext: number; literalPosition: number; position: number }

/** The properties byte of a chunk. */
export function propertiesOf(byte: number): Properties {
  const [position, literalPosition, literalContext] = [Math.trunc(byte / 45), Math.trunc((byte % 45) / 9), byte % 9]
  if (byte >= 225 || literalContext + literalPosition > 4) throw damaged('a chunk has impossible properties')
  return { literalContext, literalPosition, position }
}

/** States below this mean that a literal came last. */
const afterMatch = 7

export class LzmaDecoder {
  readonly #output: Output
  #properties: Properties = propertiesOf(0)
  #model = new Model(1)
  #state = 0
  #distances: [number, number, number, number] = [0, 0, 0, 0]

  constructor(output: Output) {
    this.#output = output
  }

  /** Forgets what was learnt; with properties, those are the new ones. */
  reset(properties: Properties = this.#properties): void {
    this.#properties = properties
    this.#model = new Model(1 << (properties.literalContext + properties.literalPosition))
    this.#state = 0
    this.#distances = [0, 0, 0, 0]
  }

  /** Writes the `size` bytes that are packed in a chunk; yields between parts of the work. */
  *decode(packed: Buffer, size: number): Generator<undefined> {
    const bits = new RangeDecoder(packed)
    const end = this.#output.position + size
    while (this.#output.position < end) {
      this.#step(bits)
      if (this.#output.full) yield undefined
    }
    if (this.#output.position > end) throw damaged('a match goes on behind its chunk')
    if (!bits.finished) throw damaged('a chunk holds more than it says')
  }

  /** A literal or a match. */
  #step(bits: RangeDecoder): void {
    const place = this.#output.position & ((1 << this.#properties.position) - 1)
    const at = this.#state * 16 + place
    if (bits.bit(this.#model.isMatch, at) === 0) {
      this.#literal(bits)
      return
    }
    const length =
      bits.bit(this.#model.isRepeat, this.#state) === 0 ? this.#match(bits, place) : this.#again(bits, place)
    this.#output.repeat(this.#distances[0], length)
  }

  #literal(bits: RangeDecoder): void {
    const { literalContext, literalPosition } = this.#properties
    const before = this.#output.byteAt(0) >>> (8 - literalContext)
    const place = this.#output.position & ((1 << literalPosition) - 1)
    const at = ((place << literalContext) | before) * 0x300
    const { literals } = this.#model
    let node = 1
    if (this.#state >= afterMatch) {
      // After a match the byte that would have gone on with it says something, for as long as it is the same.
      let matched = this.#output.byteAt(this.#distances[0]) << 1
      let same = 0x100
      while (node < 0x100) {
        const bit = bits.bit(literals, at + same + (matched & same) + node)
        node = (node << 1) | bit
        same &= bit === 1 ? matched : ~matched
        matched <<= 1
      }
    } else while (node < 0x100) node = (node << 1) | bits.bit(literals, at + node)
    this.#output.put(node & 0xff)
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6
  }

  /** A match at a distance of its own. */
  #match(bits: RangeDecoder, place: number): number {
    const length = this.#model.matchLength.read(bits, place)
    const [first, second, third] = this.#distances
    this.#distances = [this.#distance(bits, length), first, second, third]
    this.#state = this.#state < afterMatch ? 7 : 10
    return length
  }

  #distance(bits: RangeDecoder, length: number): number {
    const slot = bits.tree(this.#model.slots, Math.min(length - shortestMatch, 3) * 64, 6)
    if (slot < 4) return slot
    const count = (slot >>> 1) - 1
    const start = ((2 | (slot & 1)) << count) >>> 0
    if (slot < 14) return start + bits.treeUp(this.#model.special, start - slot, count)
    return start + bits.even(count - 4) * 16 + bits.treeUp(this.#model.align, 0, 4)
  }

  /** A match at one of the last four distances, which becomes the last one. */
  #again(bits: RangeDecoder, place: number): number {
    const { isOlder, isLong, repeatLength } = this.#model
    const literalBefore = this.#state < afterMatch
    if (bits.bit(isOlder[0], this.#state) === 0) {
      if (bits.bit(isLong, this.#state * 16 + place) === 0) {
        this.#state = literalBefore ? 9 : 11
        return 1
      }
    } else this.#bringForward(bits)
    const length = repeatLength.read(bits, place)
    this.#state = literalBefore ? 8 : 11
    return length
  }

  #bringForward(bits: RangeDecoder): void {
    const { isOlder } = this.#model
    const [first, second, third, fourth] = this.#distances
    if (bits.bit(isOlder[1], this.#state) === 0) this.#distances = [second, first, third, fourth]
    else if (bits.bit(isOlder[2], this.#state) === 0) this.#distances = [third, first, second, fourth]
    else this.#distances = [fourth, first, second, third]
  }
}
