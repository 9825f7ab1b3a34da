/** This terminal joined to a process's streams: raw keys in, output out, size changes and signals passed on. */

import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'

export type WindowSize = [height: number, width: number]

export const windowSize = (): WindowSize | undefined =>
  process.stdout.isTTY ? [process.stdout.rows, process.stdout.columns] : undefined

/** Sends each frame's payload (wire fact 18) to the stream that it names. */
export class Unframe extends Writable {
  #rest: Buffer = Buffer.alloc(0)
  readonly #outputs: Readonly<Record<number, NodeJS.WritableStream>>

  constructor(stdout: NodeJS.WritableStream, stderr: NodeJS.WritableStream) {
    super()
    this.#outputs = { 1: stdout, 2: stderr, 3: stderr }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let full: NodeJS.WritableStream | undefined
    while (this.#rest.length >= 8) {
      const length = this.#rest.readUInt32BE(4)
      if (this.#rest.length < 8 + length) break
      const output = this.#outputs[this.#rest[0]!] ?? process.stdout
      if (!output.write(this.#rest.subarray(8, 8 + length))) full = output
      this.#rest = this.#rest.subarray(8 + length)
    }
    if (full === undefined) done()
    else full.once('drain', done)
  }
}

export type SessionOptions = {
  socket: Socket
  framed: boolean
  stdin: boolean
  terminal: boolean
  resize: (size: WindowSize) => Promise<unknown>
}

/** As docker refuses it, before anything is made. */
export function checkTerminal({ stdin, terminal }: { stdin: boolean; terminal: boolean }): void {
  if (stdin && terminal && !process.stdin.isTTY) throw new Error('the input device is not a TTY')
}

/** Until the process's output ends. Our terminal is as before when it returns or throws. */
export async function runSession({ socket, framed, stdin, terminal, resize }: SessionOptions): Promise<void> {
  using cleanup = new DisposableStack()
  const raw = terminal && stdin && process.stdin.isTTY
  if (raw) {
    process.stdin.setRawMode(true)
    cleanup.defer(() => process.stdin.setRawMode(false))
  }
  if (terminal && process.stdout.isTTY) {
    const changed = () => void resize([process.stdout.rows, process.stdout.columns]).catch(() => undefined)
    process.stdout.on('resize', changed)
    cleanup.defer(() => process.stdout.off('resize', changed))
    changed()
  }
  if (stdin) {
    process.stdin.pipe(socket)
    cleanup.defer(() => {
      process.stdin.unpipe(socket)
      process.stdin.pause()
    })
  }
  const output = framed ? new Unframe(process.stdout, process.stderr) : process.stdout
  socket.pipe(output, { end: false })
  await finished(socket, { writable: false }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  })
  socket.destroy()
}

const kept = new Set([
  'SIGCHLD',
  'SIGPIPE',
  'SIGURG',
  'SIGKILL',
  'SIGSTOP',
  'SIGWINCH',
  'SIGPROF',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
])

/** Passes the signals this process gets on to the container's; wire fact 50. */
export function forwardSignals(kill: (signal: string) => Promise<unknown>): Disposable {
  const stack = new DisposableStack()
  for (const signal of Object.keys(constants.signals) as NodeJS.Signals[]) {
    if (
      kept.has(signal) ||
      ['SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGILL', 'SIGSYS', 'SIGTRAP', 'SIGABRT', 'SIGIOT'].includes(signal)
    )
      continue
    const pass = () => void kill(signal).catch(() => undefined)
    try {
      process.on(signal, pass)
      stack.defer(() => process.off(signal, pass))
    } catch {
      // A signal that Node cannot catch here is one that cannot be passed on.
    }
  }
  return stack
}
