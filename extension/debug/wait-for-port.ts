import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineClient } from '../engine-client/client.ts'
import { ApiError } from '../engine-client/errors.ts'

/** Milliseconds between two tries. */
const pause = 100

/**
 * Resolves once something listens on the port inside the container. Rejects after `patienceMs`, or at once where the
 * container has ended.
 */
export async function waitForPort(client: EngineClient, id: string, port: number, patienceMs: number): Promise<void> {
  const until = Date.now() + patienceMs
  for (;;) {
    try {
      const { socket } = await client.containers.dial(id, port)
      socket.destroy()
      return
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      const { State } = await client.containers.inspect(id)
      if (State.Status === 'exited' || State.Status === 'dead')
        throw new Error(`The program ended with exit code ${State.ExitCode} before the debugger could attach.`)
      if (Date.now() >= until) throw new Error(`Nothing listened on port ${port} of the container in time.`)
    }
    await sleep(pause)
  }
}
