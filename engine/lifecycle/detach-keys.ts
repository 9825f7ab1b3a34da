/** The keys with which a terminal lets go of a container; wire fact 27. */
import { Duplex } from 'node:stream'
import { EngineError } from '../base/errors.ts'

/** ctrl-p ctrl-q */
export const defaultDetachKeys = Buffer.from([16, 17])

/**
 * Finds a sequence of keys in input that comes in pieces. A beginning of it is held back until it is clear what it was.
 */
export class KeyMatcher {
  readonly #keys: Buffer
  #matched = 0

  constructor(keys: Buffer) {
    this.#keys = keys
  }

  /** What to pass on, and whether the sequence is complete: input after it is dropped. */
  take(chunk: Buffer): { pass: Buffer; detached: boolean } {
    const keys = this.#keys
    if (keys.length === 0) return { pass: chunk, detached: false }
    const held = this.#matched
    const input = held === 0 ? chunk : Buffer.concat([keys.subarray(0, held), chunk])
    let from = input.indexOf(keys)
    if (from !== -1) {
      this.#matched = 0
      return { pass: input.subarray(0, from), detached: true }
    }
    // The longest end of the input that may be the beginning of the sequence.
    from = Math.max(0, input.length - keys.length + 1)
    while (from < input.length && !keys.subarray(0, input.length - from).equals(input.subarray(from))) from += 1
    this.#matched = input.length - from
    return { pass: input.subarray(0, from), detached: false }
  }
}

/** The stream, ended from our side when the keys are typed; the process lives on. */
export function detachable(inner: Duplex, keys: Buffer, detached: () => void): Duplex {
  const matcher = new KeyMatcher(keys)
  let over = false
  const outer = new Duplex({
    allowHalfOpen: true,
    read: () => {
      inner.resume()
    },
    write: (chunk: Buffer, _encoding, done) => {
      if (over) return done()
      const { pass, detached: matched } = matcher.take(chunk)
      if (matched) {
        over = true
        detached()
        inner.destroy()
        return done()
      }
      if (pass.length === 0) done()
      else inner.write(pass, () => done())
    },
    final: (done) => {
      inner.end()
      done()
    },
    destroy: (error, done) => {
      inner.destroy()
      done(error)
    },
  })
  let ended = false
  const finish = (): void => {
    if (ended || outer.destroyed) return
    ended = true
    outer.push(null)
  }
  inner.on('data', (chunk: Buffer) => {
    if (!outer.push(chunk)) inner.pause()
  })
  inner.on('end', finish)
  inner.on('close', finish)
  inner.on('error', (error) => outer.destroy(error))
  return outer
}

/** `ctrl-p,ctrl-q`, `ctrl-@,a`: letters, and ctrl- with a letter or one of @ [ \ ] ^ _. Throws invalid. */
export function parseDetachKeys(text: string): Buffer {
  const bytes = text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0)
    const [, letter] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? []
    if (letter === undefined) throw new EngineError('invalid', `Invalid detach keys (${text}) provided`)
    return letter.toUpperCase().charCodeAt(0) - 64
  })
  return Buffer.from(bytes)
}
