/** Other threads of this process: Node's own, which a program that forks must not catch in the middle of something. */
import { readdirSync, readFileSync } from 'node:fs'

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Sleeping, by the state letter of proc_pid_stat(5), which stands behind the name in brackets. */
function sleeps(task: string): boolean {
  try {
    const text = readFileSync(`/proc/self/task/${task}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).startsWith('S')
  } catch {
    // Ended meanwhile.
    return true
  }
}

/**
 * Returns when every other thread sleeps. One that is just starting may hold the lock of malloc(3): a child forked in that
 * moment has the lock and not its holder, and waits for ever.
 */
export function awaitIdleThreads(): void {
  const others = readdirSync('/proc/self/task').filter((task) => Number(task) !== process.pid)
  while (!others.every(sleeps)) Atomics.wait(sleeper, 0, 0, 0.1)
}
