/** DNS messages as far as a stub's server needs them: RFC 1035 section 4, EDNS(0) RFC 6891. Pure. */

export const recordTypes = { A: 1, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const
export const responseCodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

const CLASS_IN = 1
const headerLength = 12
const longestName = 255
/** Without EDNS a datagram holds this much; RFC 1035 section 2.3.4. */
const plainLimit = 512
/** The largest datagram that is sent, whatever the client says it can take: one that crosses loopback in one piece. */
const largestDatagram = 4096
const largestMessage = 65535

const flagBits = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080 } as const
const opcodeMask = 0x7800
const codeMask = 0x000f

export type DnsQuery = {
  id: number
  /** As it stands in the header. */
  flags: number
  /** Lower case, without the last dot; '' is the root. undefined: labels that no text can tell apart (a dot inside). */
  name: string | undefined
  type: number
  /** The question's own bytes, in the client's spelling. */
  question: Buffer
  /** Present with EDNS: the largest datagram the client takes. */
  payloadSize?: number
}

export type ParsedQuery =
  | { kind: 'query'; query: DnsQuery }
  /** To be answered with this code. */
  | { kind: 'refused'; code: number; id: number; flags: number }
  /** No query at all: an answer, or too short for an identifier. Never answered, or two servers could talk for ever. */
  | { kind: 'noise' }

/** The labels at `at`; a query's question has nothing before it that a compressed name could point to. */
function readName(bytes: Buffer, at: number): { labels: Buffer[]; end: number } | undefined {
  const labels: Buffer[] = []
  let end = at
  for (;;) {
    const length = bytes[end]
    if (length === undefined || length > 63) return undefined
    end += 1
    if (length === 0) return end - at <= longestName ? { labels, end } : undefined
    if (end + length > bytes.length || end - at > longestName) return undefined
    labels.push(bytes.subarray(end, end + length))
    end += length
  }
}

/** Where the record's name ends; a pointer is its last part and is not followed. */
function skipName(bytes: Buffer, at: number): number | undefined {
  for (let end = at; ; ) {
    const length = bytes[end]
    if (length === undefined) return undefined
    if (length === 0) return end + 1
    if (length >= 0xc0) return end + 2
    if (length > 63) return undefined
    end += 1 + length
  }
}

const textOf = (labels: readonly Buffer[]): string | undefined =>
  labels.some((label) => label.includes(0x2e)) ? undefined : labels.map((label) => label.toString('latin1')).join('.')

/** The OPT record among `count` records from `at` on: the payload size, undefined without one, false when they are broken. */
function payloadSizeIn(bytes: Buffer, start: number, count: number): number | undefined | false {
  let at = start
  let size: number | undefined
  for (let index = 0; index < count; index += 1) {
    const fixed = skipName(bytes, at)
    if (fixed === undefined || fixed + 10 > bytes.length) return false
    if (bytes.readUInt16BE(fixed) === recordTypes.OPT) size = bytes.readUInt16BE(fixed + 2)
    at = fixed + 10 + bytes.readUInt16BE(fixed + 8)
    if (at > bytes.length) return false
  }
  return size
}

export function parseQuery(bytes: Buffer): ParsedQuery {
  if (bytes.length < headerLength) return { kind: 'noise' }
  const [id, flags] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)]
  if ((flags & flagBits.QR) !== 0) return { kind: 'noise' }
  const refused = (code: number): ParsedQuery => ({ kind: 'refused', code, id, flags })
  if ((flags & opcodeMask) !== 0) return refused(responseCodes.NOTIMP)
  const [questions, answers, authorities, additional] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at)) as [
    number,
    number,
    number,
    number,
  ]
  if (questions !== 1 || answers !== 0) return refused(responseCodes.FORMERR)
  const name = readName(bytes, headerLength)
  if (name === undefined || name.end + 4 > bytes.length) return refused(responseCodes.FORMERR)
  const end = name.end + 4
  if (bytes.readUInt16BE(name.end + 2) !== CLASS_IN) return refused(responseCodes.REFUSED)
  const payloadSize = payloadSizeIn(bytes, end, authorities + additional)
  if (payloadSize === false) return refused(responseCodes.FORMERR)
  const query: DnsQuery = {
    id,
    flags,
    name: textOf(name.labels)?.toLowerCase(),
    type: bytes.readUInt16BE(name.end),
    question: Buffer.from(bytes.subarray(headerLength, end)),
    ...(payloadSize === undefined ? {} : { payloadSize }),
  }
  return { kind: 'query', query }
}

export type Transport = 'datagram' | 'stream'

const limitOf = (query: DnsQuery, transport: Transport): number =>
  transport === 'stream' ? largestMessage : Math.min(Math.max(query.payloadSize ?? 0, plainLimit), largestDatagram)

export type Answer = {
  code: number
  /** Of the question's name; addresses in network order, or an encoded name. */
  records: readonly { type: number; data: Buffer }[]
  /** Seconds. */
  lifetime?: number
}

function recordBytes(type: number, data: Buffer, lifetime: number): Buffer {
  const record = Buffer.alloc(12 + data.length)
  // The name: a pointer to the question's.
  record.writeUInt16BE(0xc000 | headerLength, 0)
  record.writeUInt16BE(type, 2)
  record.writeUInt16BE(CLASS_IN, 4)
  record.writeUInt32BE(lifetime, 6)
  record.writeUInt16BE(data.length, 10)
  data.copy(record, 12)
  return record
}

function optRecord(): Buffer {
  const record = Buffer.alloc(11)
  record.writeUInt16BE(recordTypes.OPT, 1)
  record.writeUInt16BE(largestDatagram, 3)
  return record
}

function head(id: number, flags: number, counts: readonly [number, number, number]): Buffer {
  const header = Buffer.alloc(headerLength)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(counts[0], 4)
  header.writeUInt16BE(counts[1], 6)
  header.writeUInt16BE(counts[2], 10)
  return header
}

/** The answer as it is sent. What does not fit is left out, and the client told to ask over a stream. */
export function encodeAnswer(query: DnsQuery, answer: Answer, transport: Transport): Buffer {
  const opt = query.payloadSize === undefined ? [] : [optRecord()]
  let room = limitOf(query, transport) - headerLength - query.question.length - (opt[0]?.length ?? 0)
  const records: Buffer[] = []
  let truncated = 0
  for (const { type, data } of answer.records) {
    const bytes = recordBytes(type, data, answer.lifetime ?? 0)
    if (bytes.length > room) {
      truncated = flagBits.TC
      break
    }
    room -= bytes.length
    records.push(bytes)
  }
  const authoritative = answer.code === responseCodes.NOERROR ? flagBits.AA : 0
  const flags = flagBits.QR | flagBits.RA | authoritative | truncated | (query.flags & flagBits.RD) | answer.code
  return Buffer.concat([head(query.id, flags, [1, records.length, opt.length]), query.question, ...records, ...opt])
}

/** To what is no proper query: a header with the code. */
export const encodeRefusal = ({ id, flags, code }: { id: number; flags: number; code: number }): Buffer =>
  head(id, flagBits.QR | flagBits.RA | (flags & (opcodeMask | flagBits.RD)) | code, [0, 0, 0])

/** A name as records hold it; undefined when it cannot be one. */
export function encodeName(name: string): Buffer | undefined {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'))
  if (labels.some((label) => label.length === 0 || label.length > 63)) return undefined
  const bytes = Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)])
  return bytes.length > longestName ? undefined : bytes
}

/** The same query under another identifier, for a server upstream. */
export function withIdentifier(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(id, 0)
  return copy
}

/** Case may differ: some servers give the name back in their own spelling. */
const foldedQuestion = (question: Buffer): string =>
  question.toString('latin1', 0, question.length - 4).toLowerCase() + question.toString('latin1', question.length - 4)

/** The code of an upstream's answer to this query; undefined when it is not one. */
export function answerCode(message: Buffer, id: number, question: Buffer): number | undefined {
  if (message.length < headerLength + question.length || message.readUInt16BE(0) !== id) return undefined
  const flags = message.readUInt16BE(2)
  if ((flags & flagBits.QR) === 0 || message.readUInt16BE(4) !== 1) return undefined
  const echoed = message.subarray(headerLength, headerLength + question.length)
  return foldedQuestion(echoed) === foldedQuestion(question) ? flags & codeMask : undefined
}
