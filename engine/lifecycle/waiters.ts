/** Whoever waits for a container to end or to go; wire facts 41 and 42. */
import type { WaitCondition, WaitResult } from './containers.ts'

type Waiter = { condition: WaitCondition; resolve: (result: WaitResult) => void }

export class Waiters {
  readonly #waiters = new Map<string, Set<Waiter>>()

  /** Registered when it returns. */
  add(id: string, condition: WaitCondition): { result: Promise<WaitResult>; cancel(): void } {
    const { promise, resolve } = Promise.withResolvers<WaitResult>()
    const waiter = { condition, resolve }
    const set = this.#waiters.get(id) ?? new Set()
    this.#waiters.set(id, set.add(waiter))
    return {
      result: promise,
      cancel: () => {
        set.delete(waiter)
        if (set.size === 0 && this.#waiters.get(id) === set) this.#waiters.delete(id)
      },
    }
  }

  /** The process ended, whether or not it starts again. */
  exited(id: string, result: WaitResult): void {
    const set = this.#waiters.get(id)
    for (const waiter of set ?? []) {
      if (waiter.condition === 'removed') continue
      set?.delete(waiter)
      waiter.resolve(result)
    }
    if (set?.size === 0) this.#waiters.delete(id)
  }

  /** The container is gone, or (with an error) could not be removed. Nothing more will happen that one could wait for. */
  removed(id: string, result: WaitResult): void {
    const set = this.#waiters.get(id)
    for (const waiter of set ?? []) {
      if (result.error !== undefined && waiter.condition !== 'removed') continue
      set?.delete(waiter)
      waiter.resolve(result)
    }
    if (set?.size === 0) this.#waiters.delete(id)
  }
}
