/** A conversation with a message bus over its unix socket, one call at a time; D-Bus Specification "Authentication Protocol". */
import { EngineError, messageOf } from '../base/errors.ts'
import { close, PollSet, pollEvents, read, write } from '../kernel/descriptors.ffi.ts'
import { connect } from '../kernel/unix-socket.ffi.ts'
import {
  type DBusMessage,
  type DBusValue,
  decodeMessage,
  encodeMessage,
  messageLength,
  messageTypes,
} from './dbus-message.ts'

export type DBusCall = {
  destination: string
  path: string
  interface: string
  member: string
  signature?: string
  body?: DBusValue[]
}

/** An error that the other side answered with; `name` as `org.freedesktop.systemd1.NoSuchUnit`. */
export class DBusError extends Error {
  readonly errorName: string

  constructor(errorName: string, message: string) {
    super(`${errorName}: ${message}`)
    this.errorName = errorName
  }
}

const bus = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' }

export class DBusConnection implements Disposable {
  readonly #socket: number
  /** Without a bus between: nobody to greet, and every signal arrives unasked. */
  readonly #peer: boolean
  readonly #polls = new PollSet()
  #received = Buffer.alloc(0)
  #serial = 0
  #signals: DBusMessage[] = []

  private constructor(socket: number, peer: boolean) {
    this.#socket = socket
    this.#peer = peer
  }

  /** To a bus, or with `peer` to a program that speaks for itself and needs no greeting. Throws unavailable. */
  static open(path: string, options: { peer?: boolean } = {}): DBusConnection {
    let connection: DBusConnection
    try {
      connection = new DBusConnection(connect(path), options.peer === true)
    } catch (error) {
      throw new EngineError('unavailable', `cannot reach the message bus at ${path}: ${messageOf(error)}`, {
        cause: error,
      })
    }
    try {
      connection.#authenticate()
      if (!connection.#peer) connection.call({ ...bus, member: 'Hello' })
      return connection
    } catch (error) {
      connection[Symbol.dispose]()
      throw error
    }
  }

  [Symbol.dispose](): void {
    close(this.#socket)
  }

  /**
   * EXTERNAL: the socket says who we are; the number is only repeated. All at once, as systemd's own clients do: a message
   * that arrived together with a later BEGIN would lie in its buffer unread.
   */
  #authenticate(): void {
    const uid = Buffer.from(String(process.geteuid!())).toString('hex')
    this.#send(Buffer.from(`\0AUTH EXTERNAL ${uid}\r\nBEGIN\r\n`))
    let end = -1
    while (end < 0) {
      this.#receive(patience)
      end = this.#received.indexOf('\r\n')
    }
    const answer = this.#received.toString('latin1', 0, end)
    this.#received = this.#received.subarray(end + 2)
    if (!answer.startsWith('OK')) throw new EngineError('unavailable', `the message bus refused us: ${answer}`)
  }

  /** The values it answers; throws DBusError. */
  call({ body = [], ...rest }: DBusCall): DBusValue[] {
    this.#serial += 1
    const serial = this.#serial
    this.#send(encodeMessage({ type: messageTypes.call, serial, ...rest, body }))
    const deadline = performance.now() + patience
    for (;;) {
      const message = this.#next(deadline, `${rest.interface}.${rest.member}`)
      if (message.replySerial !== serial) {
        if (message.type === messageTypes.signal) this.#signals.push(message)
        continue
      }
      if (message.type === messageTypes.error)
        throw new DBusError(message.errorName ?? 'unknown', String(message.body[0] ?? ''))
      return message.body
    }
  }

  /** Signals that match arrive from now on; D-Bus Specification "Match Rules". */
  subscribe(rule: string): void {
    if (!this.#peer) this.call({ ...bus, member: 'AddMatch', signature: 's', body: [rule] })
  }

  /** The first signal that is wanted, also of those that came meanwhile; `timeout` in milliseconds. */
  waitForSignal(wanted: (message: DBusMessage) => boolean, what: string, timeout = patience): DBusMessage {
    const deadline = performance.now() + timeout
    for (;;) {
      const found = this.#signals.findIndex(wanted)
      if (found >= 0) return this.#signals.splice(found, 1)[0]!
      const message = this.#next(deadline, what)
      if (message.type === messageTypes.signal) this.#signals.push(message)
    }
  }

  #send(bytes: Buffer): void {
    for (let sent = 0; sent < bytes.length; ) {
      const written = write(this.#socket, bytes.subarray(sent))
      if (written < 0) throw new EngineError('unavailable', `the message bus went away: errno ${-written}`)
      sent += written
    }
  }

  #receive(timeout: number): void {
    this.#polls.clear()
    this.#polls.add(this.#socket, pollEvents.POLLIN)
    if (this.#polls.wait(Math.max(0, Math.ceil(timeout))) === 0) return
    const count = read(this.#socket, chunk)
    if (count <= 0) throw new EngineError('unavailable', 'the message bus closed the connection')
    this.#received = Buffer.concat([this.#received, chunk.subarray(0, count)])
  }

  #next(deadline: number, what: string): DBusMessage {
    for (;;) {
      const length = messageLength(this.#received)
      if (length !== undefined && this.#received.length >= length) {
        const message = decodeMessage(this.#received.subarray(0, length))
        this.#received = this.#received.subarray(length)
        return message
      }
      if (performance.now() >= deadline) throw new EngineError('unavailable', `no answer in time: ${what}`)
      this.#receive(deadline - performance.now())
    }
  }
}

/** Milliseconds; libdbus waits 25 s as well. */
const patience = 25_000

const chunk = Buffer.alloc(65536)
