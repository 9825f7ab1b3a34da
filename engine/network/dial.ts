import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { EngineError, messageOf } from '../base/errors.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import { beginConnection, connectionState } from '../kernel/network-socket.ffi.ts'

/** A full queue of the listener is the only thing to wait for on a loopback link. */
const longestWait = 5_000

/** A TCP connection to 127.0.0.1:port inside a network namespace. Throws conflict when nobody listens there. */
export async function dial(netnsPath: string, port: number): Promise<Socket> {
  using cleanup = new DisposableStack()
  const detail = `127.0.0.1:${port} in ${netnsPath}`
  try {
    const fd = inNetworkNamespace(netnsPath, () => beginConnection(Buffer.of(127, 0, 0, 1), port, detail))
    cleanup.adopt(fd, closeSync)
    const end = performance.now() + longestWait
    // The handshake on loopback is done before connect(2) returns, so this loop nearly never waits.
    for (let pause = 1; connectionState(fd, detail) === 'pending'; pause = Math.min(pause * 2, 100)) {
      if (performance.now() > end) throw new Error(`connect ${detail}: no answer in ${longestWait} ms`)
      await wait(pause)
    }
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true })
    cleanup.move()
    return socket
  } catch (error) {
    throw new EngineError('conflict', messageOf(error), { cause: error })
  }
}
