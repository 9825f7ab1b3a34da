/**
 * bzip2's format, read: blocks of a Burrows-Wheeler transform behind Huffman codes. Ours, because the packages there are hold all that
 * comes of a piece of input before anybody can tell them to wait, and 50 bytes of a block may say 46 MB.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EngineError } from '../base/errors.ts'

/** Packed, no block is longer: 900,001 symbols of 20 bits, and what is in front of them. */
const longestBlock = 2_600_000
const blockUnit = 100_000
/** Bytes of output at a time. */
const pieceSize = 64 * 1024
/** Symbols of a group, which one table is for. */
const groupSize = 50
/** Groups that are read before others have their turn. */
const patience = 512
const longestCode = 20

const damaged = (why: string): EngineError => new EngineError('invalid', `the archive's bzip2 data is damaged: ${why}`)

const crcTable = Int32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24
  for (let bit = 0; bit < 8; bit += 1) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1
  return value
})

/** Bits of what has arrived, highest first. */
class Bits {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #word = 0
  #held = 0

  get left(): number {
    return this.#bytes.length - this.#at
  }

  add(pieces: readonly Buffer[]): void {
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...pieces])
    this.#at = 0
  }

  /** @param count 24 at most */
  read(count: number): number {
    while (this.#held < count) {
      if (this.#at >= this.#bytes.length) throw damaged('it ends early')
      this.#word = (this.#word << 8) | (this.#bytes[this.#at++] as number)
      this.#held += 8
    }
    this.#held -= count
    const value = this.#word >>> this.#held
    this.#word &= (1 << this.#held) - 1
    return value
  }

  /** The next 20 bits, which stay; zeros behind the end. */
  peek(): number {
    while (this.#held < longestCode) {
      this.#word = (this.#word << 8) | (this.#bytes[this.#at++] ?? 0)
      this.#held += 8
    }
    return this.#word >>> (this.#held - longestCode)
  }

  /** @param count of bits that were seen with `peek` */
  skip(count: number): void {
    this.#held -= count
    this.#word &= (1 << this.#held) - 1
    if (this.#at - (this.#held >>> 3) > this.#bytes.length) throw damaged('it ends early')
  }

  readWord(): number {
    return (this.read(16) << 16) | this.read(16)
  }

  /** The rest of the byte that is begun. */
  align(): void {
    this.#held -= this.#held % 8
    this.#word = 0
    // A whole byte that was read ahead goes back.
    this.#at -= this.#held / 8
    this.#held = 0
  }
}

/** A canonical Huffman code: of each length the first 20 bits that no code begins with, what to take off, and the symbols in order. */
type Code = { shortest: number; limit: Int32Array; base: Int32Array; symbols: Uint16Array }

function codeOf(lengths: Uint8Array): Code {
  const limit = new Int32Array(longestCode + 1)
  const base = new Int32Array(longestCode + 1)
  const symbols = new Uint16Array(lengths.length)
  let [code, at] = [0, 0]
  for (let length = 1; length <= longestCode; length += 1) {
    base[length] = code - at
    for (let symbol = 0; symbol < lengths.length; symbol += 1) if (lengths[symbol] === length) symbols[at++] = symbol
    code = at + (base[length] as number)
    if (code > 1 << length) throw damaged('its codes overlap')
    limit[length] = code << (longestCode - length)
    code <<= 1
  }
  return { shortest: Math.min(...lengths), limit, base, symbols }
}

function readLengths(bits: Bits, count: number): Uint8Array {
  const lengths = new Uint8Array(count)
  let length = bits.read(5)
  for (let symbol = 0; symbol < count; symbol += 1) {
    for (;;) {
      if (length < 1 || length > longestCode) throw damaged('a code has no length')
      if (bits.read(1) === 0) break
      length += bits.read(1) === 0 ? 1 : -1
    }
    lengths[symbol] = length
  }
  return lengths
}

function readSymbol(bits: Bits, { shortest, limit, base, symbols }: Code): number {
  const seen = bits.peek()
  let length = shortest
  while (seen >= (limit[length] as number)) {
    length += 1
    if (length > longestCode) throw damaged('there is no such code')
  }
  bits.skip(length)
  return symbols[(seen >>> (longestCode - length)) - (base[length] as number)] as number
}

/** The value at `index` moves to the front. */
function toFront(list: Uint8Array, index: number): number {
  const value = list[index] as number
  // Most are near, where a call would take longer than the work.
  if (index > 16) list.copyWithin(1, 0, index)
  else for (let at = index; at > 0; at -= 1) list[at] = list[at - 1] as number
  list[0] = value
  return value
}

function readAlphabet(bits: Bits): Uint8Array {
  const groups = bits.read(16)
  const used: number[] = []
  for (let group = 0; group < 16; group += 1) {
    if ((groups & (0x8000 >>> group)) === 0) continue
    const members = bits.read(16)
    for (let member = 0; member < 16; member += 1)
      if ((members & (0x8000 >>> member)) !== 0) used.push(group * 16 + member)
  }
  if (used.length === 0) throw damaged('a block uses no bytes')
  return Uint8Array.from(used)
}

/** Which code each group of symbols is in. */
function readSelectors(bits: Bits, codes: number): Uint8Array {
  const selectors = new Uint8Array(bits.read(15))
  if (selectors.length === 0) throw damaged('a block has no symbols')
  const recent = Uint8Array.from({ length: codes }, (_, index) => index)
  for (let at = 0; at < selectors.length; at += 1) {
    let index = 0
    while (bits.read(1) === 1) {
      index += 1
      if (index >= codes) throw damaged('a group is in no code')
    }
    selectors[at] = toFront(recent, index)
  }
  return selectors
}

/** One block as it was before the transform is undone, into `block`; answers how long it is. Yields between parts of the work. */
function* readBlock(bits: Bits, block: Uint32Array): Generator<undefined, number> {
  const alphabet = readAlphabet(bits)
  const codeCount = bits.read(3)
  if (codeCount < 2 || codeCount > 6) throw damaged('a block has a wrong number of codes')
  const selectors = readSelectors(bits, codeCount)
  const codes = Array.from({ length: codeCount }, () => codeOf(readLengths(bits, alphabet.length + 2)))
  const end = alphabet.length + 1
  let [length, run, weight] = [0, 0, 1]
  for (let group = 0; group < selectors.length; group += 1) {
    if (group % patience === patience - 1) yield undefined
    const code = codes[selectors[group] as number] as Code
    for (let nth = 0; nth < groupSize; nth += 1) {
      const symbol = readSymbol(bits, code)
      if (symbol <= 1) {
        // Runs are numbers of digits 1 and 2, lowest first.
        run += weight << symbol
        weight <<= 1
        if (run > block.length - length) throw damaged('a block is too long')
        continue
      }
      if (run > 0) block.fill(alphabet[0] as number, length, length + run)
      length += run
      run = 0
      weight = 1
      if (symbol === end) return length
      if (length >= block.length) throw damaged('a block is too long')
      block[length++] = toFront(alphabet, symbol - 1)
    }
  }
  throw damaged('a block has no end')
}

/** After this the upper 24 bits of each element say where the next byte is. */
function link(block: Uint32Array, length: number): void {
  const starts = new Uint32Array(256)
  for (let at = 0; at < length; at += 1) starts[block[at] as number]! += 1
  let sum = 0
  for (let byte = 0; byte < 256; byte += 1) {
    const count = starts[byte] as number
    starts[byte] = sum
    sum += count
  }
  for (let at = 0; at < length; at += 1) {
    const byte = (block[at] as number) & 0xff
    const to = starts[byte] as number
    starts[byte] = to + 1
    block[to] = (block[to] as number) | (at << 8)
  }
}

/** The bytes of a block: after four equal ones comes how many more there are. Answers their checksum. */
function* bytesOf(block: Uint32Array, length: number, start: number): Generator<Buffer, number> {
  if (start >= length) throw damaged('a block begins outside of itself')
  let [piece, filled, crc, last, equal] = [Buffer.allocUnsafe(pieceSize), 0, -1, -1, 0]
  let at = (block[start] as number) >>> 8
  for (let nth = 0; nth < length; nth += 1) {
    const entry = block[at] as number
    at = entry >>> 8
    const byte = entry & 0xff
    const more = equal === 4
    const count = more ? byte : 1
    const value = more ? last : byte
    equal = more ? 0 : byte === last ? equal + 1 : 1
    last = more ? -1 : byte
    for (let copy = 0; copy < count; copy += 1) {
      crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ value] as number)
      piece[filled++] = value
      if (filled < pieceSize) continue
      yield piece
      piece = Buffer.allocUnsafe(pieceSize)
      filled = 0
    }
  }
  if (filled > 0) yield piece.subarray(0, filled)
  return ~crc
}

/** Enough for a block, unless there is no more. */
async function fill(bits: Bits, input: AsyncIterator<Buffer>): Promise<void> {
  if (bits.left >= longestBlock) return
  const pieces: Buffer[] = []
  for (let missing = 2 * longestBlock - bits.left; missing > 0; ) {
    const { value, done } = await input.next()
    if (done === true) break
    pieces.push(value)
    missing -= value.length
  }
  bits.add(pieces)
}

const blockMagic = [0x314159, 0x265359]
const endMagic = [0x177245, 0x385090]

/** Everything of one or more files behind one another. Throws invalid where they are damaged; gives others turns as it goes. */
export async function* bunzip2(input: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  const bits = new Bits()
  await fill(bits, input)
  do {
    const level = bits.read(24) === 0x425a68 ? bits.read(8) - 0x30 : 0
    if (level < 1 || level > 9) throw damaged('it does not begin as it should')
    const block = new Uint32Array(level * blockUnit)
    let sum = 0
    for (;;) {
      await fill(bits, input)
      const magic = [bits.read(24), bits.read(24)]
      const expected = bits.readWord()
      if (String(magic) === String(endMagic)) {
        if (expected !== sum) throw damaged('its checksum differs')
        break
      }
      if (String(magic) !== String(blockMagic)) throw damaged('there is no block where one should be')
      if (bits.read(1) === 1) throw damaged('it is randomized, as no program has written for long')
      const start = bits.read(24)
      const crc = yield* decodeBlock(bits, block, start)
      if (crc !== expected) throw damaged('the checksum of a block differs')
      sum = ((sum << 1) | (sum >>> 31)) ^ crc
    }
    bits.align()
    await fill(bits, input)
  } while (bits.left > 0)
}

async function* decodeBlock(bits: Bits, block: Uint32Array, start: number): AsyncGenerator<Buffer, number> {
  const reading = readBlock(bits, block)
  let read = reading.next()
  for (; read.done !== true; read = reading.next()) await nextTurn()
  link(block, read.value)
  const writing = bytesOf(block, read.value, start)
  let written = writing.next()
  for (; written.done !== true; written = writing.next()) {
    yield written.value
    await nextTurn()
  }
  return written.value
}
