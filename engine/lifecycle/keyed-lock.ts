/**
 * One mutation at a time per container. Who holds the lock may call the kernel, the store and the supervisor, and must
 * come to an end by itself; who only waits for something to happen (wait, stop's wait for the exit, logs, attach) does
 * not take it. First come, first served.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** Runs `work` after everything that asked for `key` before. Its failure is the caller's, not the next one's. */
  async run<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    const result = (this.#tails.get(key) ?? Promise.resolve()).then(work)
    // The tail never rejects: the caller of run() sees the failure, who comes next does not care.
    const tail = result.then(
      () => {},
      () => {},
    )
    this.#tails.set(key, tail)
    try {
      return await result
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }

  held(key: string): boolean {
    return this.#tails.has(key)
  }
}
