/**
 * The other side of port-server.ts, in the network of the peer: `node port-client.ts bytes|connections HOST PORT` prints
 * MB/s over a few connections, or milliseconds for many short ones.
 */
import { once } from 'node:events'
import { connect } from 'node:net'

const streams = 4
/** Milliseconds. */
const streamFor = 2000
const connections = 2000
const atOnce = 16

const [, , what, host = '', port = ''] = process.argv

async function receive(until: number): Promise<number> {
  let bytes = 0
  const callback = (length: number): boolean => {
    bytes += length
    if (performance.now() >= until) socket.destroy()
    return true
  }
  const onread = { buffer: Buffer.alloc(1 << 20), callback }
  const socket: ReturnType<typeof connect> = connect({ host, port: Number(port), onread })
  socket.write('s')
  await once(socket, 'close')
  return bytes
}

async function one(): Promise<void> {
  const socket = connect(Number(port), host)
  socket.setNoDelay(true).write('c')
  socket.resume()
  await once(socket, 'close')
}

const start = performance.now()
if (what === 'bytes') {
  const all = await Promise.all(Array.from({ length: streams }, () => receive(start + streamFor)))
  console.log(all.reduce((sum, bytes) => sum + bytes, 0) / 1000 / (performance.now() - start))
} else {
  let left = connections
  const some = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await one()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, some))
  console.log(performance.now() - start)
}
