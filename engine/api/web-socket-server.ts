/** The WebSocket protocol (RFC 6455): imported by call, since few clients ever ask for one. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocketServer } from 'ws'

/** Bytes of one message: more than anybody types or pastes. */
const largestMessage = 16 * 1024 * 1024

/**
 * Answers the handshake. The result's writes are binary messages, its reads the bytes of messages of either kind, and its
 * end closes the connection. Undefined where the request is none of RFC 6455, section 4.2.1: then `refuse` was told why.
 */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  headers: Readonly<Record<string, string>>,
  refuse: (why: string) => void,
): Duplex | undefined {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: largestMessage,
  })
  server.on('headers', (lines) => lines.push(...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)))
  server.on('wsClientError', (error) => refuse(error.message))
  let accepted: Duplex | undefined
  server.handleUpgrade(request, socket, Buffer.alloc(0), (connection) => {
    accepted = createWebSocketStream(connection)
  })
  return accepted
}
