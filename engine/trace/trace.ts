/**
 * Spans of one run, from the command to the kernel, each with the layer it was spent in. The current trace follows
 * asynchronous calls; code outside of one records nothing and pays a map look-up.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

export type Layer = 'command' | 'api' | 'lifecycle' | 'images' | 'snapshot' | 'network' | 'shim' | 'runtime' | 'kernel'

/** Times in milliseconds since the epoch, with fractions. */
export type Span = { layer: Layer; name: string; start: number; end: number }

const current = new AsyncLocalStorage<Span[]>()

export const now = (): number => performance.timeOrigin + performance.now()

/** Runs `work` with a trace of its own; spans are pushed as they end. */
export const withTrace = <T>(spans: Span[], work: () => T): T => current.run(spans, work)

/** Adds spans that another process measured. */
export const record = (...spans: readonly Span[]): void => {
  current.getStore()?.push(...spans)
}

/** Measures an asynchronous piece of work; its failure is a span, too. */
export async function span<T>(layer: Layer, name: string, work: () => Promise<T> | T): Promise<T> {
  const spans = current.getStore()
  if (spans === undefined) return work()
  const start = now()
  try {
    return await work()
  } finally {
    spans.push({ layer, name, start, end: now() })
  }
}
