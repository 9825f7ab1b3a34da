/** The runtime's step times as spans of a trace. Pure. */
import type { RuntimeSpan } from './shim.ts'

/** `began` in milliseconds since the epoch. The steps ran one after the other and ended just now; what came before was the fork. */
export function spansOf(
  began: number,
  steps: readonly (readonly [name: string, milliseconds: number])[],
): RuntimeSpan[] {
  const end = performance.timeOrigin + performance.now()
  let at = end - steps.reduce((sum, [, milliseconds]) => sum + milliseconds, 0)
  const spans: RuntimeSpan[] = [
    { layer: 'runtime', name: 'create container', start: began, end },
    { layer: 'kernel', name: 'cgroup, clone3', start: began, end: at },
  ]
  for (const [name, milliseconds] of steps) {
    spans.push({ layer: 'kernel', name, start: at, end: at + milliseconds })
    at += milliseconds
  }
  return spans
}
