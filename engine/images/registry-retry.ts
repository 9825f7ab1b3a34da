/** Trying again: exponential back-off with jitter, or as long as the server asks for. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RegistryConfig } from './registry-config.ts'
import { RegistryError } from './registry-errors.ts'

/** Waits before try number `attempt` + 1 (the first is 0), or throws the error when there is no point. */
export async function waitOrThrow(
  error: unknown,
  attempt: number,
  config: RegistryConfig,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  if (!(error instanceof RegistryError) || !error.transient || attempt + 1 >= config.attempts) throw error
  const wait = error.retryAfter ?? config.backOff * 2 ** attempt * (0.5 + Math.random())
  if (wait > config.longestWait) throw error
  try {
    await sleep(wait, undefined, signal && { signal })
  } catch {
    signal?.throwIfAborted()
  }
}

/** Runs `work` until it succeeds, fails for good, or the tries are used up. */
export async function retrying<T>(
  config: RegistryConfig,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++)
    try {
      return await work()
    } catch (error) {
      await waitOrThrow(error, attempt, config, signal)
    }
}
