/** Before the engine goes for good, its containers do: over its own API, as any client would. */
import { request } from 'node:http'
import { EngineError } from '../base/errors.ts'

function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  return new Promise((settle, fail) => {
    const outgoing = request({ socketPath, method, path }, async (response) => {
      try {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk as Buffer)
        const text = Buffer.concat(chunks).toString('utf8')
        const status = response.statusCode ?? 500
        if (status >= 400 && status !== 404)
          fail(new EngineError('unavailable', `the engine refused ${method} ${path} (${status}): ${text.trim()}`))
        else settle(text === '' ? undefined : JSON.parse(text))
      } catch (error) {
        fail(error)
      }
    })
    outgoing.once('error', fail)
    outgoing.end()
  })
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
