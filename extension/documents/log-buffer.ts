import { StringDecoder } from 'node:string_decoder'

/** Escape sequences of terminals (ECMA-48 CSI, OSC with its end, and single ones). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\^_=>78])/g

/** A terminal's driver puts a carriage return before each line feed, and programs may have put one already. */
const lineEnds = /\r+\n/g

/** What stands before a lone carriage return is written over, as by a progress bar. The editor would begin a line. */
const overwritten = /[^\n]*\r(?!$)|\r$/g

/** All but tab and line feed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f]/g

/** A log as plain text, of which only the last part is kept. */
export class LogBuffer {
  readonly #limit: number
  readonly #decoder = new StringDecoder('utf8')
  #text = ''
  #dropped = 0

  /** Characters that are kept; the oldest lines go first, in eighths, so that not every line moves the text. */
  constructor(limit = 2_000_000) {
    this.#limit = limit
  }

  push(chunk: Uint8Array): void {
    this.#text += this.#decoder.write(Buffer.from(chunk))
    if (this.#text.length <= this.#limit) return
    const from = this.#text.length - Math.floor((this.#limit * 7) / 8)
    const lineEnd = this.#text.indexOf('\n', from)
    const cut = lineEnd < 0 ? from : lineEnd + 1
    this.#dropped += cut
    this.#text = this.#text.slice(cut)
  }

  /** For the reader: no escape sequences, and a first line that says when something was dropped. */
  text(): string {
    const plain = this.#text.replace(escapes, '').replace(lineEnds, '\n').replace(overwritten, '').replace(controls, '')
    return this.#dropped > 0 ? `… ${this.#dropped} earlier characters are not kept\n${plain}` : plain
  }
}
