/**
 * Space set aside for a full disk: without any, the engine could not even record that something was removed to make
 * space.
 */
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { isNoSpace } from './no-space.ts'

/** Bytes: some sixty pages of the database. */
const size = 256 * 1024

export class DiskReserve {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    this.restore()
  }

  /** Gives the space back to whoever is quick. */
  release(): void {
    rmSync(this.#path, { force: true })
  }

  /** Takes the space again, if it is there. */
  restore(): void {
    if (statSync(this.#path, { throwIfNoEntry: false })?.size === size) return
    try {
      writeFileSync(this.#path, Buffer.alloc(size), { mode: 0o600 })
    } catch (error) {
      this.release()
      if (!isNoSpace(error)) throw error
    }
  }
}
