/** Points in time as Docker writes them: RFC 3339, UTC, up to nine digits of a second. */

/** What a container that never ran has for its times (Go's zero time). Clients compare with it. */
export const never = '0001-01-01T00:00:00Z'

/** Milliseconds: timers take no more, and one that is set to more is over at once. */
export const longestTimer = 2 ** 31 - 1

/** Milliseconds between the fine clock, which counts from the start of the process, and the machine's. */
let behind = 0

/**
 * The machine's clock in milliseconds since the epoch, with microseconds. The fine clock neither learns that somebody
 * set the time nor counts while the machine sleeps (clock_gettime(2) CLOCK_MONOTONIC), so it only adds digits here.
 */
export function wallClock(): number {
  const fine = performance.timeOrigin + performance.now() + behind
  const whole = Date.now()
  const right = Math.min(Math.max(fine, whole), whole + 0.999)
  behind += right - fine
  return right
}

/** Now, with nanosecond digits (the clock's own resolution is a microsecond). */
export function timestamp(milliseconds: number = wallClock()): string {
  const whole = Math.floor(milliseconds)
  const nanoseconds = Math.floor((milliseconds - whole) * 1e6)
  return `${new Date(whole).toISOString().slice(0, -1)}${String(nanoseconds).padStart(6, '0')}Z`
}
