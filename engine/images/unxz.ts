/**
 * The .xz format, read (tukaani.org/xz/xz-file-format.txt): streams of blocks of LZMA2 with checksums. Ours, because what there is
 * for Node is native, or holds one global lock over all that it unpacks and passes over everything behind the first stream.
 */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { EngineError } from '../base/errors.ts'
import { damaged, LzmaDecoder, Output, propertiesOf } from './lzma-decoder.ts'

/** What xz needs for its highest preset. */
const largestDictionary = 64 * 1024 * 1024
const streamMagic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])

const refused = (what: string): EngineError =>
  new EngineError('invalid', `the archive's xz data cannot be read: ${what}`)

/** Bytes in the order they come, counted. */
class Input {
  readonly #source: AsyncIterator<Buffer>
  #held: Buffer = Buffer.alloc(0)
  position = 0

  constructor(source: AsyncIterator<Buffer>) {
    this.#source = source
  }

  /** Undefined at the end. */
  async tryTake(size: number): Promise<Buffer | undefined> {
    const pieces = [this.#held]
    for (let length = this.#held.length; length < size; ) {
      const { value, done } = await this.#source.next()
      if (done === true) {
        if (length > 0) throw damaged('it ends early')
        return undefined
      }
      pieces.push(value)
      length += value.length
    }
    const all = pieces.length === 1 ? this.#held : Buffer.concat(pieces)
    this.#held = all.subarray(size)
    this.position += size
    return all.subarray(0, size)
  }

  async take(size: number): Promise<Buffer> {
    const taken = await this.tryTake(size)
    if (taken === undefined) throw damaged('it ends early')
    return taken
  }

  async byte(): Promise<number> {
    return (await this.take(1))[0] as number
  }
}

/** A number of variable length, at most 63 bits of it, and how many bytes it took; section 1.2. */
function numberAt(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0
  for (let nth = 0; nth < 9; nth += 1) {
    const byte = bytes[at + nth]
    if (byte === undefined) break
    value += (byte & 0x7f) * 2 ** (7 * nth)
    if ((byte & 0x80) === 0) return { value, next: at + nth + 1 }
  }
  throw damaged('a number has no end')
}

const crc64Table = Array.from({ length: 256 }, (_, index) => {
  let value = BigInt(index)
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1n) === 1n ? (value >> 1n) ^ 0xc96c5795d7870f42n : value >> 1n
  return value
})
const crc64Low = Int32Array.from(crc64Table, (value) => Number(BigInt.asIntN(32, value)))
const crc64High = Int32Array.from(crc64Table, (value) => Number(BigInt.asIntN(32, value >> 32n)))

type Check = { update(piece: Buffer): void; digest(): Buffer }

function checkCrc64(): Check {
  let [low, high] = [-1, -1]
  return {
    update(piece) {
      for (let at = 0; at < piece.length; at += 1) {
        const index = (low ^ (piece[at] as number)) & 0xff
        low = ((low >>> 8) | (high << 24)) ^ (crc64Low[index] as number)
        high = (high >>> 8) ^ (crc64High[index] as number)
      }
    },
    digest() {
      const bytes = Buffer.alloc(8)
      bytes.writeInt32LE(~low, 0)
      bytes.writeInt32LE(~high, 4)
      return bytes
    },
  }
}

function checkCrc32(): Check {
  let sum = 0
  return {
    update: (piece) => {
      sum = crc32(piece, sum)
    },
    digest: () => littleEndian(sum),
  }
}

function littleEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

/** By the number in the stream's flags; section 2.1.1.2. */
function checkOf(kind: number): Check {
  if (kind === 0) return { update: () => {}, digest: () => Buffer.alloc(0) }
  if (kind === 1) return checkCrc32()
  if (kind === 4) return checkCrc64()
  if (kind !== 10) throw refused(`it is checked in a way that is not known (${kind})`)
  const hash = createHash('sha256')
  return { update: (piece) => void hash.update(piece), digest: () => hash.digest() }
}

function expectCrc(bytes: Buffer, expected: Buffer): void {
  if (!littleEndian(crc32(bytes)).equals(expected)) throw damaged('a checksum differs')
}

/** Bytes of the dictionary of the block whose header this is, without its checksum; section 3.1. */
function dictionarySize(header: Buffer): { dictionary: number; unpacked: number | undefined } {
  const flags = header[1] as number
  if ((flags & 0x3f) !== 0) throw refused('it is filtered by more than LZMA2')
  let at = 2
  let unpacked: number | undefined
  if ((flags & 0x40) !== 0) at = numberAt(header, at).next
  if ((flags & 0x80) !== 0) ({ value: unpacked, next: at } = numberAt(header, at))
  const [filter, length, size = 41] = header.subarray(at, at + 3)
  if (filter !== 0x21 || length !== 1) throw refused('it is not LZMA2')
  if (size > 40) throw damaged('a dictionary has no size')
  if (header.subarray(at + 3).some((byte) => byte !== 0)) throw damaged('a header is too long')
  const dictionary = size === 40 ? 2 ** 32 - 1 : (2 | (size & 1)) * 2 ** (Math.trunc(size / 2) + 11)
  if (dictionary > largestDictionary)
    throw refused(`it needs ${dictionary} bytes of memory, and ${largestDictionary} are allowed`)
  return { dictionary, unpacked }
}

/** What a chunk's first byte does before it; LZMA2 has no other specification than xz's own reader. */
function prepare(control: number, fresh: boolean, output: Output): void {
  if (control === 1 || control >= 0xe0) output.reset()
  else if (fresh) throw damaged('a block does not begin with a new dictionary')
  if (control > 2 && control < 0x80) throw damaged('a chunk is of no kind')
}

async function* chunks(input: Input, output: Output): AsyncGenerator<Buffer> {
  const decoder = new LzmaDecoder(output)
  let [fresh, needs] = [true, 0xe0]
  for (let control = await input.byte(); control !== 0; control = await input.byte()) {
    prepare(control, fresh, output)
    fresh = false
    if (control < 0x80) {
      for (const byte of await input.take((await input.take(2)).readUInt16BE() + 1)) output.put(byte)
      // What was learnt is of another dictionary.
      if (control === 1) needs = 0xc0
    } else {
      const sizes = await input.take(4)
      const size = ((control & 0x1f) << 16) + sizes.readUInt16BE() + 1
      if (needs !== 0 && control < needs) throw damaged('a chunk goes on with what was never begun')
      needs = 0
      if (control >= 0xc0) decoder.reset(propertiesOf(await input.byte()))
      else if (control >= 0xa0) decoder.reset()
      for (const _ of decoder.decode(await input.take(sizes.readUInt16BE(2) + 1), size)) {
        yield output.take()
        await nextTurn()
      }
    }
    yield output.take()
  }
}

type BlockSizes = { unpadded: number; unpacked: number }

/** The ring of the block before serves the next one, where it is large enough: blocks are many. */
class Rings {
  #last = new Output(4096)

  of(size: number): Output {
    if (this.#last.size < size) this.#last = new Output(size)
    return this.#last
  }
}

type Reading = { input: Input; rings: Rings }

async function* block({ input, rings }: Reading, headerSize: number, kind: number): AsyncGenerator<Buffer, BlockSizes> {
  const start = input.position - 1
  const header = Buffer.concat([Buffer.from([headerSize]), await input.take((headerSize + 1) * 4 - 1)])
  expectCrc(header.subarray(0, -4), header.subarray(-4))
  const { dictionary, unpacked: promised } = dictionarySize(header.subarray(0, -4))
  const check = checkOf(kind)
  let unpacked = 0
  for await (const piece of chunks(input, rings.of(dictionary))) {
    check.update(piece)
    unpacked += piece.length
    if (piece.length > 0) yield piece
  }
  if (promised !== undefined && promised !== unpacked) throw damaged('a block has another size than it says')
  const packed = input.position - start
  if ((await input.take((4 - (packed % 4)) % 4)).some((byte) => byte !== 0)) throw damaged('a block is not padded')
  const digest = check.digest()
  if (!digest.equals(await input.take(digest.length))) throw damaged('a checksum differs')
  return { unpadded: packed + digest.length, unpacked }
}

/** The list of blocks at a stream's end, behind its first byte; answers its size. Section 4. */
async function expectIndex(input: Input, blocks: readonly BlockSizes[]): Promise<number> {
  const numbers = [blocks.length, ...blocks.flatMap(({ unpadded, unpacked }) => [unpadded, unpacked])]
  const bytes = Buffer.from([0, ...numbers.flatMap(numberBytes)])
  const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
  if (!(await input.take(padded.length - 1)).equals(padded.subarray(1))) throw damaged('its list of blocks differs')
  expectCrc(padded, await input.take(4))
  return padded.length + 4
}

function numberBytes(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.trunc(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return [...bytes, rest]
}

/** One stream behind its magic number; sections 2.1 and 2.2. */
async function* stream(reading: Reading): AsyncGenerator<Buffer> {
  const { input } = reading
  const flags = await input.take(2)
  expectCrc(flags, await input.take(4))
  const [reserved = 0, kind = 0] = flags
  if (reserved !== 0 || kind > 15) throw refused('it is of a later version of the format')
  const blocks: BlockSizes[] = []
  for (let size = await input.byte(); size !== 0; size = await input.byte())
    blocks.push(yield* block(reading, size, kind))
  const indexSize = await expectIndex(input, blocks)
  const footer = await input.take(12)
  expectCrc(footer.subarray(4, 10), footer.subarray(0, 4))
  const said = [(footer.readUInt32LE(4) + 1) * 4, footer.toString('latin1', 10)]
  if (said[0] !== indexSize || said[1] !== 'YZ' || !footer.subarray(8, 10).equals(flags))
    throw damaged('a stream does not end as it should')
}

/** Everything of one or more streams behind one another. Throws invalid where they are damaged; gives others turns as it goes. */
export async function* unxz(source: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(source)
  const rings = new Rings()
  if (!(await input.take(6)).equals(streamMagic)) throw damaged('it does not begin as it should')
  for (;;) {
    yield* stream({ input, rings })
    // Streams are padded by fours of zeros.
    let next = await input.tryTake(4)
    while (next?.equals(Buffer.alloc(4)) === true) next = await input.tryTake(4)
    if (next === undefined) return
    if (!Buffer.concat([next, await input.take(2)]).equals(streamMagic)) throw damaged('something else follows it')
  }
}
