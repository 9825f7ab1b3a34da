/** How a container ended, in its directory: for the daemon after the one that was told. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EventLoop } from './event-loop.ts'
import type { ProcessExit } from './shim.ts'

/** Written aside and renamed: a reader sees a whole record or none. */
function writeExit(directory: string, exit: ProcessExit): void {
  const path = join(directory, 'exit.json')
  rmSync(`${path}.new`, { force: true })
  writeFileSync(`${path}.new`, JSON.stringify(exit))
  renameSync(`${path}.new`, path)
}

/** Milliseconds. */
const retry = 1000

/** A record for which there may be no space: then it is nowhere but here, and whoever has it must not go. */
export class ExitFile {
  readonly #directory: string
  #unwritten: ProcessExit | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  get written(): boolean {
    return this.#unwritten === undefined
  }

  write(exit: ProcessExit): void {
    this.#unwritten = exit
    this.#isWritten()
  }

  /** At once, or when there is space. */
  whenWritten(loop: EventLoop, act: () => void): void {
    if (this.#isWritten()) act()
    else loop.after(retry, () => this.whenWritten(loop, act))
  }

  /** Tries once more where it is not. True also while there is nothing to write. */
  #isWritten(): boolean {
    if (this.#unwritten === undefined) return true
    try {
      writeExit(this.#directory, this.#unwritten)
      this.#unwritten = undefined
      return true
    } catch {
      return false
    }
  }
}
