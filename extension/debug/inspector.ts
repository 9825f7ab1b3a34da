import { request } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineClient } from '../engine-client/client.ts'
import { ApiError } from '../engine-client/errors.ts'

/** The container does not run yet; nothing listens yet. */
const notYet = new Set([409, 503])

/** Milliseconds between two tries. */
const pause = 100

/**
 * Resolves with the path at which the inspector of Node takes a debugger, once it listens inside the container. Rejects
 * after `patienceMs`, or at once where the container has ended.
 */
export async function inspectorPath(
  client: EngineClient,
  id: string,
  port: number,
  patienceMs: number,
): Promise<string> {
  const until = Date.now() + patienceMs
  for (;;) {
    try {
      const { socket } = await client.containers.dial(id, port)
      return await askForPath(socket)
    } catch (error) {
      if (!(error instanceof ApiError && notYet.has(error.status))) throw error
      const { State } = await client.containers.inspect(id)
      if (State.Status === 'exited' || State.Status === 'dead')
        throw new Error(`The program ended with exit code ${State.ExitCode} before the debugger could attach.`, {
          cause: error,
        })
      if (Date.now() >= until)
        throw new Error(`Nothing listened on port ${port} of the container in time.`, { cause: error })
    }
    await sleep(pause)
  }
}

/** The inspector tells its targets at /json/list; Node has one, and answers only to a host that is an address. */
async function askForPath(socket: Duplex): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const createConnection = (): Socket => socket as Socket
  const sent = request({ createConnection, path: '/json/list', headers: { Host: '127.0.0.1' } }, (response) => {
    text(response).then(resolve, reject)
  })
  sent.once('error', reject)
  sent.end()
  try {
    const targets = JSON.parse(await promise) as { id?: unknown }[]
    const id = targets[0]?.id
    if (typeof id !== 'string') throw new Error('The inspector of Node names no target.')
    return `/${id}`
  } finally {
    socket.destroy()
  }
}
