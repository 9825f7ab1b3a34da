/**
 * What the daemon and a shim say to each other over the shim's socket: JSON in frames of 4 bytes length (big-endian).
 * The daemon keeps one control connection; each attachment is a connection of its own, which after one frame each way
 * carries the bytes themselves.
 */
import type { ErrorKind } from '../base/errors.ts'
import type { OciResources } from '../spec/oci.ts'
import type { AttachStreams, ExecRequest, LogPosition, ProcessExit, RuntimeSpan } from './shim.ts'

export type WindowSize = { height: number; width: number }

/** What can be asked; each answer carries the request's number. */
export type ShimRequest =
  /** First, of a shim without a container: the one whose files are there. Its answer is waited for before anything else is asked. */
  | { op: 'adopt'; directory: string }
  | { op: 'create' }
  | { op: 'start' }
  /** With streams, the connection becomes them after the answer, as for `attach`. */
  | { op: 'exec'; request: ExecRequest; streams?: AttachStreams }
  | { op: 'kill'; signal: number; execId?: string }
  | { op: 'kill-all' }
  | { op: 'resize'; size: WindowSize; execId?: string }
  | { op: 'close-stdin'; execId?: string }
  | { op: 'attach'; streams: AttachStreams; execId?: string; afterLog?: true }
  | { op: 'pause' }
  | { op: 'resume' }
  | { op: 'update'; resources: OciResources }
  | { op: 'serve-names' }
  | { op: 'release' }

export type RequestFrame = ShimRequest & { number: number }

export type ShimAnswer = {
  pid?: number
  spans?: RuntimeSpan[]
  log?: LogPosition
  /** It has let its container go, and waits on this connection for another. */
  again?: true
}

export type AnswerFrame =
  | { number: number; ok: ShimAnswer }
  | { number: number; error: { kind: ErrorKind; message: string } }

/** Unasked words of the shim on a control connection. The first is always `hello`. */
export type EventFrame =
  | {
      event: 'hello'
      pid: number
      containerPid: number
      exit?: ProcessExit
      execs: { execId: string; exit?: ProcessExit }[]
    }
  | { event: 'exit'; exit: ProcessExit }
  | { event: 'exec-exit'; execId: string; exit: ProcessExit }

export type HelloFrame = Extract<EventFrame, { event: 'hello' }>

export type ShimFrame = AnswerFrame | EventFrame

/** A frame may carry an OCI process with a large environment, never more. */
export const largestFrame = 4 << 20

export function encodeFrame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message))
  const frame = Buffer.allocUnsafe(4 + body.length)
  frame.writeUInt32BE(body.length, 0)
  body.copy(frame, 4)
  return frame
}

/** Cuts frames out of a byte stream. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0)

  /** The next message of what came so far; undefined when it is not complete. Throws on a frame beyond all measure. */
  next<Message>(): Message | undefined {
    if (this.#bytes.length < 4) return undefined
    const length = this.#bytes.readUInt32BE(0)
    if (length > largestFrame) throw new Error(`frame of ${length} bytes is too large`)
    if (this.#bytes.length < 4 + length) return undefined
    const message = JSON.parse(this.#bytes.toString('utf8', 4, 4 + length)) as Message
    this.#bytes = this.#bytes.subarray(4 + length)
    return message
  }

  add(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#bytes, chunk])
  }

  /** What follows the frames: an attachment's bytes. */
  rest(): Buffer {
    const rest = this.#bytes
    this.#bytes = Buffer.alloc(0)
    return rest
  }
}
