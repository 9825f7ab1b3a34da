/**
 * D-Bus messages as bytes, both ways; D-Bus Specification "Type System", "Message Protocol". Pure. Little-endian is
 * written; both are read. Values by type: numbers for y n q i u d, bigints for x t, strings for s o g, booleans for b,
 * arrays for arrays and structs, `Variant` for v; `ay` is a Buffer; a dictionary is an array of [key, value].
 */
export type Variant = { readonly signature: string; readonly value: DBusValue }
export type DBusValue = number | bigint | string | boolean | Buffer | Variant | readonly DBusValue[]

export const variant = (signature: string, value: DBusValue): Variant => ({ signature, value })

export const messageTypes = { call: 1, answer: 2, error: 3, signal: 4 } as const

export type DBusMessage = {
  type: number
  serial: number
  path?: string
  interface?: string
  member?: string
  errorName?: string
  replySerial?: number
  destination?: string
  sender?: string
  signature?: string
  body: DBusValue[]
}

/** Where one complete type that begins at `at` ends. */
function endOfType(signature: string, at: number): number {
  const letter = signature[at]
  if (letter === 'a') return endOfType(signature, at + 1)
  if (letter !== '(' && letter !== '{') return at + 1
  let end = at + 1
  while (signature[end] !== ')' && signature[end] !== '}') {
    if (end >= signature.length) throw new Error(`signature ${JSON.stringify(signature)} does not end`)
    end = endOfType(signature, end)
  }
  return end + 1
}

/** The complete types a signature is made of. */
export function typesOf(signature: string): string[] {
  const types: string[] = []
  for (let at = 0; at < signature.length; ) {
    const end = endOfType(signature, at)
    types.push(signature.slice(at, end))
    at = end
  }
  return types
}

const alignments: Readonly<Record<string, number>> = {
  ...{ y: 1, g: 1, v: 1, n: 2, q: 2 },
  ...{ b: 4, i: 4, u: 4, s: 4, o: 4, a: 4, h: 4 },
  ...{ x: 8, t: 8, d: 8, '(': 8, '{': 8 },
}
const alignmentOf = (type: string): number => {
  const alignment = alignments[type[0] ?? '']
  if (alignment === undefined) throw new Error(`no D-Bus type ${JSON.stringify(type)}`)
  return alignment
}

class Writer {
  #bytes = Buffer.alloc(256)
  length = 0

  /** Moves on by `size` bytes, zeroed; where they begin. */
  take(size: number): number {
    const start = this.length
    this.length += size
    if (this.length > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(Math.max(this.#bytes.length, size))])
    return start
  }

  align(alignment: number): void {
    this.take((alignment - (this.length % alignment)) % alignment)
  }

  integer(size: 1 | 2 | 4 | 8, value: bigint): void {
    this.align(size)
    const at = this.take(size)
    const bits = BigInt.asUintN(size * 8, value)
    for (let index = 0; index < size; index += 1) this.#bytes[at + index] = Number((bits >> BigInt(index * 8)) & 0xffn)
  }

  double(value: number): void {
    this.align(8)
    // Taking may replace the bytes: where they are is asked after.
    const at = this.take(8)
    this.#bytes.writeDoubleLE(value, at)
  }

  raw(bytes: Buffer): void {
    const at = this.take(bytes.length)
    bytes.copy(this.#bytes, at)
  }

  patchLength(at: number, value: number): void {
    this.#bytes.writeUInt32LE(value, at)
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }
}

const integerSizes: Readonly<Record<string, 1 | 2 | 4 | 8>> = { y: 1, n: 2, q: 2, i: 4, u: 4, b: 4, h: 4, x: 8, t: 8 }

function writeText(writer: Writer, type: string, text: string): void {
  const bytes = Buffer.from(`${text}\0`)
  writer.integer(type === 'g' ? 1 : 4, BigInt(bytes.length - 1))
  writer.raw(bytes)
}

function writeArray(writer: Writer, type: string, value: DBusValue): void {
  writer.integer(4, 0n)
  const lengthAt = writer.length - 4
  writer.align(alignmentOf(type))
  const start = writer.length
  if (Buffer.isBuffer(value)) writer.raw(value)
  else for (const one of value as readonly DBusValue[]) writeValue(writer, type, one)
  writer.patchLength(lengthAt, writer.length - start)
}

function writeValue(writer: Writer, type: string, value: DBusValue): void {
  const size = integerSizes[type]
  if (size !== undefined) writer.integer(size, typeof value === 'boolean' ? BigInt(value) : BigInt(value as number))
  else if (type === 's' || type === 'o' || type === 'g') writeText(writer, type, value as string)
  else if (type === 'd') writer.double(value as number)
  else if (type === 'v') {
    const { signature, value: inner } = value as Variant
    writeText(writer, 'g', signature)
    writeValue(writer, signature, inner)
  } else if (type[0] === 'a') writeArray(writer, type.slice(1), value)
  else {
    writer.align(alignmentOf(type))
    writeAll(writer, type.slice(1, -1), value as readonly DBusValue[])
  }
}

function writeAll(writer: Writer, signature: string, values: readonly DBusValue[]): void {
  const types = typesOf(signature)
  if (types.length !== values.length) throw new Error(`${values.length} values for the signature ${signature}`)
  for (const [index, type] of types.entries()) writeValue(writer, type, values[index]!)
}

const fieldTypes = ['', 'o', 's', 's', 's', 'u', 's', 's', 'g'] as const
const fieldNames = [
  ...['', 'path', 'interface', 'member', 'errorName', 'replySerial', 'destination', 'sender', 'signature'],
] as readonly (keyof DBusMessage)[]

/** `signature` says what the body is. */
export function encodeMessage(message: DBusMessage): Buffer {
  const body = new Writer()
  writeAll(body, message.signature ?? '', message.body)
  const fields: DBusValue[] = []
  for (const [code, name] of fieldNames.entries()) {
    const value = code === 0 ? undefined : (message[name] as string | number | undefined)
    if (value !== undefined && value !== '') fields.push([code, variant(fieldTypes[code]!, value)])
  }
  const header = new Writer()
  // Little-endian, no flags, protocol version 1.
  writeAll(header, 'yyyyuua(yv)', [0x6c, message.type, 0, 1, body.length, message.serial, fields])
  header.align(8)
  return Buffer.concat([header.finish(), body.finish()])
}

class Reader {
  readonly #bytes: Buffer
  readonly #little: boolean
  at = 0

  constructor(bytes: Buffer, little: boolean) {
    this.#bytes = bytes
    this.#little = little
  }

  align(alignment: number): void {
    this.at += (alignment - (this.at % alignment)) % alignment
  }

  take(size: number): Buffer {
    if (this.at + size > this.#bytes.length) throw new Error('a D-Bus message ends in the middle of a value')
    this.at += size
    return this.#bytes.subarray(this.at - size, this.at)
  }

  integer(size: number): bigint {
    this.align(size)
    const bytes = this.take(size)
    let value = 0n
    for (let index = 0; index < size; index += 1)
      value = (value << 8n) | BigInt(bytes[this.#little ? size - 1 - index : index]!)
    return value
  }

  double(): number {
    this.align(8)
    const bytes = this.take(8)
    return this.#little ? bytes.readDoubleLE() : bytes.readDoubleBE()
  }
}

const signed = new Set(['n', 'i', 'x'])

function readInteger(reader: Reader, type: string, size: number): DBusValue {
  const bits = reader.integer(size)
  const value = signed.has(type) ? BigInt.asIntN(size * 8, bits) : bits
  if (type === 'b') return value !== 0n
  return size === 8 ? value : Number(value)
}

function readText(reader: Reader, type: string): string {
  const length = Number(reader.integer(type === 'g' ? 1 : 4))
  const text = reader.take(length).toString()
  reader.take(1)
  return text
}

function readArray(reader: Reader, type: string): DBusValue {
  const length = Number(reader.integer(4))
  reader.align(alignmentOf(type))
  if (type === 'y') return Buffer.from(reader.take(length))
  const end = reader.at + length
  const values: DBusValue[] = []
  while (reader.at < end) values.push(readValue(reader, type))
  return values
}

function readValue(reader: Reader, type: string): DBusValue {
  const size = integerSizes[type]
  if (size !== undefined) return readInteger(reader, type, size)
  if (type === 's' || type === 'o' || type === 'g') return readText(reader, type)
  if (type === 'd') return reader.double()
  if (type === 'v') {
    const signature = readText(reader, 'g')
    return variant(signature, readValue(reader, signature))
  }
  if (type[0] === 'a') return readArray(reader, type.slice(1))
  reader.align(alignmentOf(type))
  return typesOf(type.slice(1, -1)).map((one) => readValue(reader, one))
}

/** What the specification allows at most. */
const largestMessage = 128 * 1024 * 1024

/** How long the message that begins here is; undefined as long as that cannot be known. */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < 16) return undefined
  const little = bytes[0] === 0x6c
  const number = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))
  const length = 16 + Math.ceil(number(12) / 8) * 8 + number(4)
  if (length > largestMessage) throw new Error(`a D-Bus message of ${length} bytes`)
  return length
}

export function decodeMessage(bytes: Buffer): DBusMessage {
  const reader = new Reader(bytes, bytes[0] === 0x6c)
  const [, type, , , , serial] = ['y', 'y', 'y', 'y', 'u', 'u'].map((one) => readValue(reader, one)) as number[]
  const message: DBusMessage = { type: type!, serial: serial!, body: [] }
  for (const [code, { value }] of readValue(reader, 'a(yv)') as unknown as [number, Variant][]) {
    const name = fieldNames[code]
    if (code !== 0 && name !== undefined) Object.assign(message, { [name]: value })
  }
  reader.align(8)
  message.body = typesOf(message.signature ?? '').map((one) => readValue(reader, one))
  return message
}
