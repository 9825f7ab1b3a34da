/**
 * From lines of the json-file log to what a client gets: frames of the wire's 8-byte header, or raw bytes for a terminal;
 * wire facts 18, 95, 96, 99. Works on bytes: reading a log back is as fast as memory allows.
 */

export type LogView = {
  stdout: boolean
  stderr: boolean
  /** RFC 3339 with nine digits; lines before, or after, are left out. */
  since?: string
  until?: string
  timestamps: boolean
  details: boolean
  framed: boolean
}

const newline = 0x0a
const backslash = 0x5c
const quote = 0x22
const prefix = Buffer.from('{"log":"')
const marker = Buffer.from('","stream":"std')
/** `2006-01-02T15:04:05.000000000Z` */
const timeLength = 30
const streamNumbers: Record<string, number> = { stdout: 1, stderr: 2 }
const letterO = 0x6f

export class LogDecoder {
  readonly #view: LogView
  /** A line after `until` was seen: the rest is later still. */
  passedUntil = false

  constructor(view: LogView) {
    this.#view = view
  }

  /**
   * @param lines whole lines, the last one ended
   * @returns what the client gets; never longer than the lines when no details are asked for
   */
  decode(lines: Buffer): Buffer {
    if (this.#view.details) return this.#decodeWithDetails(lines)
    const out = Buffer.allocUnsafe(lines.length)
    let at = 0
    for (let start = 0; start < lines.length && !this.passedUntil; ) {
      const end = lines.indexOf(newline, start)
      at = this.#line(lines, start, end, out, at)
      start = end + 1
    }
    return out.subarray(0, at)
  }

  /** One line as our own writer makes them; any other form goes through JSON.parse. */
  #line(lines: Buffer, start: number, end: number, out: Buffer, at: number): number {
    const close = lines.indexOf(marker, start + prefix.length)
    const timeAt = end - 2 - timeLength
    const ours =
      close !== -1 &&
      close < end &&
      lines[start + 1] === quote &&
      lines[start + 2] === 0x6c &&
      lines[timeAt - 1] === quote &&
      lines[timeAt - 2] === 0x3a &&
      lines[timeAt - 4] === 0x65 &&
      lines[end - 3] === 0x5a
    if (!ours) return this.#foreign(lines, start, end, out, at)
    const stream = lines[close + marker.length] === letterO ? 1 : 2
    if (!this.#wanted(stream, lines, timeAt)) return at
    const head = at
    let to = this.#view.framed ? at + 8 : at
    if (this.#view.timestamps) {
      to += lines.copy(out, to, timeAt, timeAt + timeLength)
      out[to] = 0x20
      to += 1
    }
    to = textInto(out, to, lines, start + prefix.length, close)
    if (this.#view.framed) writeHeader(out, head, stream, to - head - 8)
    return to
  }

  #wanted(stream: number, lines: Buffer, timeAt: number): boolean {
    const { since, until, stdout, stderr } = this.#view
    if (since !== undefined || until !== undefined) {
      const time = lines.toString('latin1', timeAt, timeAt + timeLength)
      if (until !== undefined && time > until) {
        this.passedUntil = true
        return false
      }
      if (since !== undefined && time < since) return false
    }
    return stream === 1 ? stdout : stderr
  }

  #foreign(lines: Buffer, start: number, end: number, out: Buffer, at: number): number {
    const bytes = this.#entry(lines, start, end)
    // An entry of another writer may be shorter than its frame: then it is the one line that is left out of a full buffer.
    return bytes === undefined || at + bytes.length > out.length ? at : at + bytes.copy(out, at)
  }

  #decodeWithDetails(lines: Buffer): Buffer {
    const parts: Buffer[] = []
    for (let start = 0; start < lines.length && !this.passedUntil; ) {
      const end = lines.indexOf(newline, start)
      const bytes = this.#entry(lines, start, end)
      if (bytes !== undefined) parts.push(bytes)
      start = end + 1
    }
    return Buffer.concat(parts)
  }

  #entry(lines: Buffer, start: number, end: number): Buffer | undefined {
    const entry = parseEntry(lines.toString('utf8', start, end))
    const stream = streamNumbers[entry?.stream ?? '']
    if (entry === undefined || stream === undefined) return undefined
    const time = normalTime(entry.time)
    if (!this.#wanted(stream, Buffer.from(time), 0)) return undefined
    const { timestamps, details, framed } = this.#view
    const text = `${timestamps ? `${time} ` : ''}${details ? `${attributesText(entry.attrs)} ` : ''}${entry.log}`
    const body = Buffer.from(text)
    if (!framed) return body
    const header = Buffer.alloc(8)
    writeHeader(header, 0, stream, body.length)
    return Buffer.concat([header, body])
  }
}

function writeHeader(out: Buffer, at: number, stream: number, length: number): void {
  out[at] = stream
  out[at + 1] = 0
  out[at + 2] = 0
  out[at + 3] = 0
  out[at + 4] = length >>> 24
  out[at + 5] = length >>> 16
  out[at + 6] = length >>> 8
  out[at + 7] = length
}

type Entry = { log: string; stream: string; time: string; attrs: Record<string, string> }

/** Undefined for a line that a crash cut off. */
function parseEntry(text: string): Entry | undefined {
  try {
    const { log, stream, time, attrs } = JSON.parse(text) as Partial<Entry>
    if (typeof log !== 'string' || typeof stream !== 'string' || typeof time !== 'string') return undefined
    return { log, stream, time, attrs: attrs ?? {} }
  } catch {
    return undefined
  }
}

/** Nine digits of a second, as the fast form has them. */
export function normalTime(time: string): string {
  const [, seconds = '', fraction = ''] = /^([^.Z]*)(?:\.(\d+))?Z$/.exec(time) ?? []
  return `${seconds}.${fraction.slice(0, 9).padEnd(9, '0')}Z`
}

const attributesText = (attributes: Record<string, string>): string =>
  Object.keys(attributes)
    .sort()
    .map((key) => `${encodeURIComponent(key)}=${encodeURIComponent(attributes[key] ?? '')}`)
    .join(',')

/** Most lines have one escape only: the newline at their end. */
function textInto(out: Buffer, start: number, data: Buffer, from: number, to: number): number {
  if (data[to - 1] !== 0x6e || data.indexOf(backslash, from) !== to - 2) return unescapeInto(out, start, data, from, to)
  const at = start + data.copy(out, start, from, to - 2)
  out[at] = newline
  return at + 1
}

/** A JSON string's content as the text it stands for; returns the position after it. */
export function unescapeInto(out: Buffer, start: number, data: Buffer, from: number, to: number): number {
  let at = start
  let copied = from
  for (;;) {
    const next = data.indexOf(backslash, copied)
    if (next === -1 || next >= to) return at + data.copy(out, at, copied, to)
    at += data.copy(out, at, copied, next)
    const letter = data[next + 1] ?? 0
    if (letter === 0x75) {
      const { text, next: after } = unicode(data, next, to)
      at += out.write(text, at)
      copied = after
    } else {
      out[at] = plainEscapes[letter] ?? letter
      at += 1
      copied = next + 2
    }
  }
}

const plainEscapes: Record<number, number> = { 110: 10, 116: 9, 114: 13, 98: 8, 102: 12 }

/** `\u00e9`, and two of them for what UTF-16 writes as a pair. */
function unicode(data: Buffer, at: number, end: number): { text: string; next: number } {
  let next = at
  let text = ''
  do {
    text += String.fromCharCode(Number.parseInt(data.toString('latin1', next + 2, next + 6), 16))
    next += 6
  } while (
    text.length < 2 &&
    isHighSurrogate(text) &&
    next + 6 <= end &&
    data[next] === backslash &&
    data[next + 1] === 0x75
  )
  return { text, next }
}

const isHighSurrogate = (text: string): boolean => (text.charCodeAt(0) & 0xfc00) === 0xd800
