/** When a process has come to rest. */

/** Microseconds of processor time in a period that still count as rest: a question now and then. */
const littleWork = 20_000

/**
 * Calls `act` at the end of the first period (milliseconds) in which the process did next to nothing, and again after
 * each time it worked. By processor time, so that a busy machine does not look like a busy process.
 */
export function whenAtRest(period: number, act: () => void): Disposable {
  let before = process.cpuUsage()
  let worked = true
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    const resting = user + system < littleWork
    if (resting && worked) act()
    worked = !resting
    // After it: the act itself is no work.
    before = process.cpuUsage()
  }, period).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
