/** Restarts that wait for their time. */
import type { Engine } from './engine.ts'

/** @param delay milliseconds */
export function scheduleRestart(engine: Engine, id: string, delay: number): void {
  const timer = setTimeout(() => {
    engine.restarts.set(id, { delay })
    void engine.startAgain(id)
  }, delay)
  engine.restarts.set(id, { timer, delay })
}

/** Calls off a restart that waits, and forgets how long the last wait was. */
export function cancelRestart(engine: Engine, id: string): void {
  clearTimeout(engine.restarts.get(id)?.timer)
  engine.restarts.delete(id)
}
