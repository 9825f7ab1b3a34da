import { messageOf } from '../engine-client/errors.ts'

/** What is still to be cleaned up after when the window closes: a container for each terminal that is open. */
export class OpenSessions {
  readonly #cleanups = new Set<(hurried: boolean) => Promise<void>>()

  /** Returns the clean-up as a function that works once. `hurried`: this program is about to end. */
  add(cleanup: (hurried: boolean) => Promise<void>): () => Promise<void> {
    const once = async (hurried = false): Promise<void> => {
      if (this.#cleanups.delete(once)) await cleanup(hurried)
    }
    this.#cleanups.add(once)
    return once
  }

  /** Cleans up after all of them at the same time; resolves with what failed. */
  async closeAll(): Promise<string[]> {
    const results = await Promise.allSettled([...this.#cleanups].map((cleanup) => cleanup(true)))
    return results.flatMap((result) => (result.status === 'rejected' ? [messageOf(result.reason)] : []))
  }
}
