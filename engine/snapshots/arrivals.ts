/** Waiting for something that somebody else is bringing. */

export class Arrivals {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Resolves when `tell` names the key; rejects with the signal's reason. The caller has looked that it is not there yet. */
  wait(key: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiting)
    const end = (settle: () => void): void => {
      waiting.delete(arrived)
      if (waiting.size === 0) this.#waiting.delete(key)
      signal.removeEventListener('abort', left)
      settle()
    }
    const arrived = (): void => end(resolve)
    const left = (): void => end(() => reject(signal.reason))
    waiting.add(arrived)
    if (signal.aborted) left()
    else signal.addEventListener('abort', left)
    return promise
  }

  tell(key: string): void {
    for (const arrived of [...(this.#waiting.get(key) ?? [])]) arrived()
  }
}
