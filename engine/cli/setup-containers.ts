/** Before the engine goes for good, its containers do: over its own API, as any client would. */
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { EngineError } from '../base/errors.ts'

async function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request({ socketPath, method, path }, resolve).once('error', reject).end()
  const response = await promise
  const said = await text(response)
  const status = response.statusCode ?? 500
  if (status >= 400 && status !== 404)
    throw new EngineError('unavailable', `the engine refused ${method} ${path} (${status}): ${said.trim()}`)
  return said === '' ? undefined : JSON.parse(said)
}

/** Stops every running container, ten seconds of grace each; with `remove` all containers are removed instead. */
export async function stopContainers(socket: string, remove: boolean, say: (line: string) => void): Promise<void> {
  const found = (await ask(socket, 'GET', `/containers/json${remove ? '?all=1' : ''}`)) as {
    Id: string
    Names: string[]
  }[]
  for (const { Id, Names } of found) {
    say(`${remove ? 'Removing' : 'Stopping'} container ${Names[0]?.replace('/', '') ?? Id}`)
    await (remove
      ? ask(socket, 'DELETE', `/containers/${Id}?force=1&v=1`)
      : ask(socket, 'POST', `/containers/${Id}/stop?t=10`))
  }
}
