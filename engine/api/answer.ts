/** What a handler gives back. The server turns it into bytes; nothing else writes to a connection. */
import type { Duplex, Readable } from 'node:stream'

type Headers = Readonly<Record<string, string>>

/** Documents that are text already, a line end between each two. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Writes one JSON document and its line end. False: the client reads slower than this is written. */
export type WriteLine = (value: unknown) => boolean

/** How many bytes of what was written wait here for the client to read. */
export type Waiting = () => number

export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly value: unknown; readonly headers: Headers }
  | { readonly kind: 'text'; readonly status: number; readonly text: string; readonly headers: Headers }
  | { readonly kind: 'empty'; readonly status: number; readonly headers: Headers }
  | { readonly kind: 'bytes'; readonly stream: Readable; readonly headers: Headers }
  | LinesAnswer
  | HijackAnswer
  | WebSocketAnswer

export type LinesAnswer = {
  readonly kind: 'lines'
  /** `\r\n` in progress streams, `\n` elsewhere. */
  readonly lineEnd: string
  /** Send status and headers before the first line: the client acts on them. */
  readonly early: boolean
  /** An error after the first line: a last line with `error` and `errorDetail`; otherwise the connection is cut. */
  readonly errorLine: boolean
  readonly produce: (write: WriteLine, signal: AbortSignal, waiting: Waiting) => Promise<void>
}

/** The connection becomes a raw one. `open` runs after the switch; what it throws goes to the client as output. */
export type HijackAnswer = {
  readonly kind: 'hijack'
  /** Output is in frames of Docker's 8-byte header. */
  readonly framed: boolean
  readonly open: (signal: AbortSignal) => Promise<Duplex>
  /** A switch to plain TCP has no Docker stream's content type. */
  readonly tunnel?: boolean
}

/** The stream's bytes both ways, as messages of a WebSocket. */
export type WebSocketAnswer = { readonly kind: 'web-socket'; readonly stream: Duplex; readonly framed: boolean }

export const json = (value: unknown, status = 200, headers: Headers = {}): Answer => ({
  kind: 'json',
  status,
  value,
  headers,
})

export const empty = (status: number, headers: Headers = {}): Answer => ({ kind: 'empty', status, headers })

export const text = (value: string, headers: Headers = {}): Answer => ({
  kind: 'text',
  status: 200,
  text: value,
  headers,
})

export const bytes = (stream: Readable, contentType: string, headers: Headers = {}): Answer => ({
  kind: 'bytes',
  stream,
  headers: { ...headers, 'Content-Type': contentType },
})

/** A stream of progress messages: the status waits for the first one, so that an early failure is a proper error. */
export const progress = (produce: LinesAnswer['produce']): Answer => ({
  kind: 'lines',
  lineEnd: '\r\n',
  early: false,
  errorLine: true,
  produce,
})

/** Documents that come over time; status and headers go out at once. */
export const lines = (produce: LinesAnswer['produce']): Answer => ({
  kind: 'lines',
  lineEnd: '\n',
  early: true,
  errorLine: false,
  produce,
})

export const hijack = (framed: boolean, open: HijackAnswer['open']): HijackAnswer => ({ kind: 'hijack', framed, open })

export const tunnel = (open: HijackAnswer['open']): HijackAnswer => ({
  kind: 'hijack',
  framed: false,
  tunnel: true,
  open,
})
