/**
 * A poll(2) loop for a process that was forked out of Node: libuv's own belongs to the parent. Handlers are few (a
 * container's outputs, its clients), so the table is filled anew for every wait.
 */
import { PollSet } from '../kernel/descriptors.ffi.ts'

export type Watcher = {
  /** Events of poll(2) wanted now; 0 still tells of hang-ups, undefined leaves the descriptor out of this wait. */
  wants(): number | undefined
  ready(events: number): void
}

export class EventLoop {
  readonly #watchers = new Map<number, Watcher>()
  readonly #poll = new PollSet()
  #timers: { due: number; run: () => void }[] = []
  #rest: { delay: number; due: number; run: () => void } | undefined
  #running = true

  watch(fd: number, watcher: Watcher): void {
    this.#watchers.set(fd, watcher)
  }

  forget(fd: number): void {
    this.#watchers.delete(fd)
  }

  /** Runs once after `delay` milliseconds. */
  after(delay: number, run: () => void): void {
    this.#timers.push({ due: performance.now() + delay, run })
  }

  /** Runs each time when nothing has been ready for `delay` milliseconds, once. */
  atRest(delay: number, run: () => void): void {
    this.#rest = { delay, due: performance.now() + delay, run }
  }

  stop(): void {
    this.#running = false
  }

  run(): void {
    while (this.#running) {
      this.#turn()
      this.#runTimers()
    }
  }

  #turn(): void {
    const slots: { fd: number; watcher: Watcher; slot: number }[] = []
    this.#poll.clear()
    for (const [fd, watcher] of this.#watchers) {
      const events = watcher.wants()
      if (events !== undefined) slots.push({ fd, watcher, slot: this.#poll.add(fd, events) })
    }
    if (this.#poll.wait(this.#timeout()) === 0) return
    if (this.#rest !== undefined) this.#rest.due = performance.now() + this.#rest.delay
    for (const { fd, watcher, slot } of slots) {
      const events = this.#poll.events(slot)
      // An earlier handler of this turn may have closed it; the number may even be somebody else's by now.
      if (events !== 0 && this.#watchers.get(fd) === watcher) watcher.ready(events)
    }
  }

  #timeout(): number {
    const next = Math.min(this.#rest?.due ?? Infinity, ...this.#timers.map(({ due }) => due))
    return next === Infinity ? -1 : Math.max(0, Math.ceil(next - performance.now()))
  }

  #runTimers(): void {
    if (this.#rest === undefined && this.#timers.length === 0) return
    const now = performance.now()
    if (this.#rest !== undefined && this.#rest.due <= now) {
      this.#rest.due = Infinity
      this.#rest.run()
    }
    const due = this.#timers.filter((timer) => timer.due <= now)
    if (due.length === 0) return
    this.#timers = this.#timers.filter((timer) => timer.due > now)
    for (const { run } of due) run()
  }
}
