/**
 * One piece of work for everyone who asks for the same at the same time. Who leaves early does not stop it for the
 * others; when the last one has left, it is aborted.
 */
type Shared<P> = {
  readonly done: Promise<void>
  readonly controller: AbortController
  readonly watchers: Set<(progress: P) => void>
  last: P | undefined
}

export class SharedWork<P> {
  readonly #running = new Map<string, Shared<P>>()

  /** Joins the work of that key, or starts it. Rejects with the signal's reason as soon as that is aborted. */
  async run(
    key: string,
    work: (signal: AbortSignal, report: (progress: P) => void) => Promise<void>,
    watch: (progress: P) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted()
    // One that everybody has left still closes its files: the next one begins after it.
    for (let old = this.#running.get(key); old?.controller.signal.aborted; old = this.#running.get(key))
      await old.done.catch(() => {})
    signal?.throwIfAborted()
    const shared = this.#running.get(key) ?? this.#start(key, work)
    if (shared.last !== undefined) watch(shared.last)
    // A fresh function per caller: two callers may bring the same one.
    const watcher = (progress: P) => watch(progress)
    shared.watchers.add(watcher)
    try {
      await orAborted(shared.done, signal)
    } finally {
      shared.watchers.delete(watcher)
      if (shared.watchers.size === 0) await abandon(shared)
    }
  }

  #start(key: string, work: (signal: AbortSignal, report: (progress: P) => void) => Promise<void>): Shared<P> {
    const controller = new AbortController()
    const watchers = new Set<(progress: P) => void>()
    const report = (progress: P): void => {
      shared.last = progress
      for (const watcher of watchers) watcher(progress)
    }
    const done = Promise.resolve()
      .then(() => work(controller.signal, report))
      .finally(() => {
        this.#running.delete(key)
      })
    const shared: Shared<P> = { done, controller, watchers, last: undefined }
    this.#running.set(key, shared)
    return shared
  }
}

/** Waits for the end, so that whoever comes next finds files closed and nothing half-done. */
async function abandon(shared: { done: Promise<void>; controller: AbortController }): Promise<void> {
  shared.controller.abort()
  await shared.done.catch(() => {})
}

async function orAborted(done: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await done
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([done, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Works at the same time that are of use only together: when one fails the signal tells the others to end. Settles when
 * all have ended, with the first failure.
 */
export async function together(
  signal: AbortSignal | undefined,
  begin: (signal: AbortSignal) => readonly Promise<void>[],
): Promise<void> {
  const failed = new AbortController()
  const works = begin(signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]))
  await Promise.allSettled(works.map((work) => work.catch((error) => failed.abort(error))))
  failed.signal.throwIfAborted()
}

/** So many at a time; the rest waits in line. */
export class Slots {
  #free: number
  readonly #queue: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** `onWait` is called when there is none free now. Disposing what comes out frees the slot; once is enough. */
  async take(signal: AbortSignal | undefined, onWait?: () => void): Promise<Disposable> {
    signal?.throwIfAborted()
    if (this.#free > 0) this.#free -= 1
    else {
      onWait?.()
      await this.#wait(signal)
    }
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (held) this.#release()
        held = false
      },
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const granted = (): void => {
      signal?.removeEventListener('abort', aborted)
      resolve()
    }
    const aborted = (): void => {
      this.#queue.splice(this.#queue.indexOf(granted), 1)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', aborted, { once: true })
    this.#queue.push(granted)
    return promise
  }

  #release(): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
