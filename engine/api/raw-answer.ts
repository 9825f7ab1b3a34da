/** Answers on a connection that was taken over: written by hand, because Node's own writer no longer owns it. */
import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf } from '../base/errors.ts'
import type { Answer, HijackAnswer } from './answer.ts'
import { type ApiVersion, atLeast } from './api-version.ts'
import { errorBody } from './errors.ts'
import { commonHeaders } from './headers.ts'
import { inputOf } from './take-over.ts'

const headLines = (headers: Readonly<Record<string, string>>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')

/** One whole response, after which the connection closes. */
export function endRaw(socket: Socket, status: number, headers: Readonly<Record<string, string>>, body: string): void {
  const bare = status === 304 || status === 204
  const all = {
    ...commonHeaders,
    ...headers,
    ...(bare ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
    Connection: 'close',
  }
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${headLines(all)}\r\n${bare ? '' : body}`)
  socket.resume()
}

export const rawError = (socket: Socket, status: number, message: string): void =>
  endRaw(socket, status, { 'Content-Type': 'application/json' }, errorBody(message))

/** An answer without a stream: an exec that was started detached. */
export function sendPlain(socket: Socket, answer: Answer): void {
  if (answer.kind === 'empty') endRaw(socket, answer.status, answer.headers, '')
  else if (answer.kind === 'json')
    endRaw(
      socket,
      answer.status,
      { ...answer.headers, 'Content-Type': 'application/json' },
      JSON.stringify(answer.value),
    )
  else rawError(socket, 500, `a ${answer.kind} answer cannot be given on a connection that was taken over`)
}

const raw = 'application/vnd.docker.raw-stream'
const multiplexed = 'application/vnd.docker.multiplexed-stream'

/** With an Upgrade header a 101 in Docker's own words; without one a 200 that claims to be raw in any case. */
function switchHead(answer: HijackAnswer, headers: IncomingHttpHeaders, version: ApiVersion): string {
  if (headers.upgrade === undefined)
    return `HTTP/1.1 200 OK\r\n${headLines({ ...commonHeaders, 'Content-Type': raw })}\r\n`
  const type = answer.framed && atLeast(version, '1.42') ? multiplexed : raw
  const content: Record<string, string> = answer.tunnel === true ? {} : { 'Content-Type': type }
  return `HTTP/1.1 101 UPGRADED\r\n${headLines({ ...content, Connection: 'Upgrade', Upgrade: 'tcp', ...commonHeaders })}\r\n`
}

/** Bytes for the client's standard output, in a frame where frames are spoken. */
function outputBytes(text: string, framed: boolean): Buffer {
  const payload = Buffer.from(text)
  if (!framed) return payload
  const header = Buffer.alloc(8)
  header[0] = 1
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** Both directions, each with its own end and its own back-pressure, until both have ended or the client is gone. */
function join(socket: Socket, headers: IncomingHttpHeaders, stream: Duplex): void {
  const input = inputOf(socket, headers)
  const drop = (): void => {
    socket.destroy()
    stream.destroy()
  }
  const stopInput = (): void => {
    input.unpipe(stream)
    input.resume()
  }
  input.pipe(stream)
  stream.pipe(socket)
  stream.once('end', stopInput)
  stream.once('close', () => {
    stopInput()
    socket.end()
  })
  input.on('error', drop)
  stream.on('error', drop)
  socket.on('error', drop)
  socket.once('close', drop)
}

/** Switches the connection, opens the stream and joins them. */
export async function hijackConnection(
  socket: Socket,
  headers: IncomingHttpHeaders,
  version: ApiVersion,
  answer: HijackAnswer,
  signal: AbortSignal,
): Promise<void> {
  if (answer.tunnel === true && headers.upgrade === undefined) {
    rawError(socket, 400, 'this needs the headers Connection: Upgrade and Upgrade: tcp')
    return
  }
  socket.write(switchHead(answer, headers, version))
  let stream: Duplex
  try {
    stream = await answer.open(signal)
  } catch (error) {
    socket.end(outputBytes(`${messageOf(error)}\r\n`, answer.framed))
    socket.resume()
    return
  }
  if (socket.destroyed) stream.destroy()
  else join(socket, headers, stream)
}
