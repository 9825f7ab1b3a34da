/** The few requests that `npm start` makes, over the engine's socket with Node's own client. */
import { request } from 'node:http'

/** Resolves with the response, its body unread; rejects when nobody listens. */
function send(socketPath, method, path, body) {
  return new Promise((settle, fail) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const outgoing = request({ socketPath, method, path, headers }, settle)
    outgoing.once('error', fail)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

async function read(response) {
  const chunks = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** A request with a JSON answer; an error of the engine's is thrown in its own words. */
export async function ask(socketPath, method, path, body) {
  const response = await send(socketPath, method, path, body)
  const text = await read(response)
  const parsed = /json/.test(response.headers['content-type'] ?? '') && text !== '' ? JSON.parse(text) : text
  if (response.statusCode >= 400) throw new Error(parsed.message ?? `${method} ${path}: ${response.statusCode} ${text}`)
  return parsed
}

/** Whether an engine answers at the socket. 'denied' where one may, but not to this user. */
export async function ping(socketPath) {
  try {
    await ask(socketPath, 'GET', '/_ping')
    return 'running'
  } catch (error) {
    return error.code === 'EACCES' ? 'denied' : 'absent'
  }
}

/** Attaches to a container's output: frames of Docker's 8-byte header go to `write(stream, bytes)`. Resolves at their end. */
export function attach(socketPath, id, write) {
  return new Promise((attached, fail) => {
    const path = `/containers/${id}/attach?stream=1&stdout=1&stderr=1`
    const outgoing = request({
      socketPath,
      method: 'POST',
      path,
      headers: { connection: 'Upgrade', upgrade: 'tcp' },
    })
    outgoing.once('error', fail)
    outgoing.once('response', async (response) => fail(new Error(`cannot attach: ${await read(response)}`)))
    outgoing.once('upgrade', (_response, connection, head) => {
      const ended = new Promise((settle, broken) => {
        connection.once('end', settle)
        connection.once('error', broken)
      })
      let pending = head
      const take = (chunk) => {
        pending = Buffer.concat([pending, chunk])
        while (pending.length >= 8 && pending.length >= 8 + pending.readUInt32BE(4)) {
          const size = pending.readUInt32BE(4)
          write(pending[0] === 2 ? 'stderr' : 'stdout', pending.subarray(8, 8 + size))
          pending = pending.subarray(8 + size)
        }
      }
      take(Buffer.alloc(0))
      connection.on('data', take)
      connection.once('end', () => connection.end())
      attached({ ended })
    })
    outgoing.end()
  })
}
