/** The loop of poll(2) that the resolver lives in, as it sees it; the shim has it (shim/event-loop.ts). */
export type PollLoop = {
  watch(fd: number, watcher: { wants(): number | undefined; ready(events: number): void }): void
  forget(fd: number): void
  after(delay: number, run: () => void): void
}

/** Calls back while anything is due, and leaves the loop without timers when nothing is. */
export class Sweep {
  readonly #loop: PollLoop
  readonly #sweep: (now: number) => number | undefined
  #armed = false

  /** @param sweep ends what is overdue; the earliest time (of performance.now) at which anything else is */
  constructor(loop: PollLoop, sweep: (now: number) => number | undefined) {
    this.#loop = loop
    this.#sweep = sweep
  }

  /** Something is due at `due` or later. */
  arm(due: number): void {
    if (this.#armed) return
    this.#armed = true
    this.#loop.after(Math.max(1, due - performance.now()), () => {
      this.#armed = false
      const next = this.#sweep(performance.now())
      if (next !== undefined) this.arm(next)
    })
  }
}
