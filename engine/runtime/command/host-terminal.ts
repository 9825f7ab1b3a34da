/** The terminal that a foreground command was typed at: raw while the container has it, and given back as it was. */
import { closeSync, constants, openSync } from 'node:fs'
import { EngineError } from '../../base/errors.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { rawModes, setTerminalModes, setWindowSize, terminalModes, windowSize } from '../../kernel/terminal.ffi.ts'

export class HostTerminal implements Disposable {
  readonly #fd: number
  readonly #opened: boolean
  readonly #modes: Buffer

  /** Any of the standard streams, else the controlling terminal. Throws unavailable where there is none. */
  constructor() {
    for (const fd of [2, 1, 0]) {
      const modes = modesOf(fd)
      if (modes === undefined) continue
      this.#fd = fd
      this.#opened = false
      this.#modes = modes
      return
    }
    try {
      this.#fd = openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY)
    } catch (error) {
      const why = isErrno(error, 'ENXIO') ? 'no such device or address' : String((error as Error).message)
      throw new EngineError('unavailable', `open /dev/tty: ${why}: process.terminal needs a terminal here`, {
        cause: error,
      })
    }
    this.#opened = true
    this.#modes = terminalModes(this.#fd)
  }

  makeRaw(): void {
    setTerminalModes(this.#fd, rawModes(this.#modes))
  }

  /** The container's terminal gets the size of this one. */
  passSize(master: number): void {
    try {
      setWindowSize(master, windowSize(this.#fd))
    } catch {
      // The terminal's window may be closed by now.
    }
  }

  [Symbol.dispose](): void {
    try {
      setTerminalModes(this.#fd, this.#modes)
    } catch {
      // As above: then nobody sees its modes either.
    }
    if (this.#opened) closeSync(this.#fd)
  }
}

function modesOf(fd: number): Buffer | undefined {
  try {
    return terminalModes(fd)
  } catch {
    // Not a terminal, or closed.
    return undefined
  }
}
