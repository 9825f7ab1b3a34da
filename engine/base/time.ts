/** Points in time as Docker writes them: RFC 3339, UTC, up to nine digits of a second. */

/** What a container that never ran has for its times (Go's zero time). Clients compare with it. */
export const never = '0001-01-01T00:00:00Z'

/** Now, with nanosecond digits (the clock's own resolution is a microsecond). */
export function timestamp(milliseconds: number = performance.timeOrigin + performance.now()): string {
  const whole = Math.floor(milliseconds)
  const nanoseconds = Math.floor((milliseconds - whole) * 1e6)
  return `${new Date(whole).toISOString().slice(0, -1)}${String(nanoseconds).padStart(6, '0')}Z`
}
