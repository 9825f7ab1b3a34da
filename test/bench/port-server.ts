/**
 * A server inside the network of a container, which is the same whichever engine made it: `node port-server.ts PID PORT`.
 * Who sends `s` gets bytes without end, anyone else one byte and the end.
 */
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { setNamespace } from '../../engine/kernel/namespaces.ffi.ts'

const [, , pid, port] = process.argv
const block = Buffer.alloc(256 * 1024)
setNamespace(openSync(`/proc/${pid}/ns/net`, 'r'), ['network'])
const server = createServer((socket) => {
  socket.on('error', () => socket.destroy())
  socket.once('data', (first) => {
    if (first[0] !== 0x73) {
      socket.end('.')
      return
    }
    const fill = (): void => {
      while (!socket.destroyed && socket.write(block));
    }
    socket.on('drain', fill)
    fill()
  })
})
server.listen(Number(port), () => process.stdout.write('ready\n'))
