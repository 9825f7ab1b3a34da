/**
 * The conversation of the two halves of a container's creation, over a socket pair: the parent (shim or command line)
 * and the child that becomes the container's first process. One JSON object in a frame of 4 bytes length, blocking.
 * The socket is close-on-exec: its end without a word after `start` means that execve(2) succeeded.
 */
import { EngineError, type ErrorKind, messageOf } from '../base/errors.ts'
import { read, write } from '../kernel/descriptors.ffi.ts'

export type ChildMessage =
  | { type: 'need-maps' }
  /** Every mount is made, the root not yet entered: the moment of prestart and createRuntime. Waits for `hooks-done`. */
  | { type: 'root-made' }
  /** Not worth a failure, but to be told. */
  | { type: 'warning'; text: string }
  /** Everything is set up; waits for `start`. `master` is the terminal's number in the child's descriptor table. */
  | { type: 'created'; master?: number; steps: [name: string, milliseconds: number][] }
  /** The host's pid of the process that was made for the container, told by the one that made it. */
  | { type: 'entered'; pid: number }
  /** The filter is loaded; `listener` is the descriptor's number in the child's table. Waits for `listener-taken`. */
  | { type: 'seccomp-listener'; listener: number }
  /** `tree`, a detached mount in the child's table, is to have the owners of spec.mounts[index]. Waits for `owners-mapped`. */
  | { type: 'map-owners'; index: number; tree: number }
  /** A helper's: a detached mount, by the number in its table. */
  | { type: 'tree'; tree: number }
  | { type: 'failed'; step: string; kind: ErrorKind; message: string }

/** `await-start`: the maker goes; `start` will come from somebody else, who connects to the gate. */
export type ParentMessage = {
  type: 'known' | 'maps-written' | 'owners-mapped' | 'hooks-done' | 'start' | 'await-start' | 'listener-taken'
}

export function send(fd: number, message: ChildMessage | ParentMessage): void {
  const body = Buffer.from(JSON.stringify(message))
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32LE(body.length, 0)
  body.copy(frame, 4)
  for (let sent = 0; sent < frame.length; ) {
    const written = write(fd, frame.subarray(sent))
    if (written < 0) throw new Error(`set-up conversation broken: errno ${-written}`)
    sent += written
  }
}

/** False when the other side is gone before the buffer is full. */
function readFully(fd: number, buffer: Buffer): boolean {
  for (let filled = 0; filled < buffer.length; ) {
    const count = read(fd, buffer.subarray(filled))
    if (count <= 0) return false
    filled += count
  }
  return true
}

/** The next message, or undefined when the other side closed. */
export function receive<Message extends ChildMessage | ParentMessage>(fd: number): Message | undefined {
  const header = Buffer.alloc(4)
  if (!readFully(fd, header)) return undefined
  const body = Buffer.alloc(header.readUInt32LE(0))
  if (!readFully(fd, body)) return undefined
  return JSON.parse(body.toString()) as Message
}

/** What the child says of an error, by the name of the step it happened in. */
export const failure = (step: string, error: unknown): ChildMessage => ({
  type: 'failed',
  step,
  kind: error instanceof EngineError ? error.kind : 'internal',
  message:
    error instanceof EngineError ? error.message : `error during container init: ${messageOf(error)} (step "${step}")`,
})

/** Throws what the child reported. */
export function expectMessage<Type extends ChildMessage['type']>(
  message: ChildMessage | undefined,
  type: Type,
): Extract<ChildMessage, { type: Type }> {
  if (message === undefined)
    throw new EngineError('internal', 'the container process ended during its set-up, without a word')
  if (message.type === 'failed') throw new EngineError(message.kind, message.message)
  if (message.type !== type)
    throw new EngineError('internal', `set-up conversation: expected ${type}, got ${message.type}`)
  return message as Extract<ChildMessage, { type: Type }>
}
