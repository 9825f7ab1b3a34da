/** Where removed trees go: a rename takes them out of the way at once, the disk gets its space back a little later. */
import { closeSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../kernel/libc.ffi.ts'
import { openDirectory } from '../kernel/paths.ffi.ts'
import { emptyDirectory, inSlices } from './tree.ts'

export class Trash {
  readonly #directory: string
  #taken = 0
  #again = false
  #running: Promise<void> = Promise.resolve()
  #busy = false

  /** @param directory on the file system of what it will take. */
  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }

  /** Moves a tree in; missing is fine. */
  take(path: string): void {
    this.#taken += 1
    try {
      renameSync(path, join(this.#directory, `${process.pid}-${Date.now()}-${this.#taken}`))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }

  /** Starts deleting what is in it, one worker at a time; what cannot be deleted stays for the next start. */
  empty(): void {
    this.#again = true
    if (this.#busy) return
    this.#busy = true
    this.#running = this.#work()
  }

  async #work(): Promise<void> {
    while (this.#again) {
      this.#again = false
      const directory = openDirectory(this.#directory)
      try {
        await inSlices(emptyDirectory(directory))
      } catch {
        // An immutable file or a failing disk: nothing that a container or an image waits for.
        this.#again = false
      } finally {
        closeSync(directory)
      }
    }
    this.#busy = false
  }

  settled(): Promise<void> {
    return this.#running
  }
}
