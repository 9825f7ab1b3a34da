/**
 * Leads what arrives at a published port's own socket to the container. The kernel rewrites IPv4 traffic, loopback
 * included, before it gets here (firewall.ts), so that it flows without the daemon; left to this proxy is IPv6 to a
 * container that has only IPv4 ([::1] first of all), and everything on a machine whose rules are not ours to set.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { connect, createServer, isIPv6, type Socket } from 'node:net'

export type ProxyTarget = { address: string; port: number }

/** Takes over a listening socket. Dispose of it: the socket and all connections close. */
export function proxyStream(fd: number, target: ProxyTarget): Disposable {
  const open = new Set<Socket>()
  const keep = (socket: Socket): void => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  }
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true })
    for (const [socket, other] of [[client, upstream] as const, [upstream, client] as const]) {
      keep(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroySoon())
    }
    client.pipe(upstream)
    upstream.pipe(client)
    client.resume()
  })
  // Nothing to tell anyone: the port stays reserved, and the kernel's rules stay in force.
  server.on('error', () => undefined)
  server.listen({ fd })
  server.unref()
  return {
    [Symbol.dispose]: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** A client's datagrams share one socket to the container, given up after this long without any. */
const idleMilliseconds = 30_000
/** Clients at a time; further ones are not served until others have been idle. */
const mostClients = 1024

/** Takes over a bound datagram socket. Dispose of it: everything closes. */
export function proxyDatagrams(fd: number, target: ProxyTarget, hostAddress: string): Disposable {
  const server = createSocket(isIPv6(hostAddress) ? 'udp6' : 'udp4')
  const clients = new Map<string, { upstream: DatagramSocket; timer: NodeJS.Timeout }>()
  const drop = (client: string): void => {
    const entry = clients.get(client)
    if (entry === undefined) return
    clients.delete(client)
    clearTimeout(entry.timer)
    entry.upstream.close()
  }
  const admit = (client: string, address: string, port: number): DatagramSocket => {
    const upstream = createSocket(isIPv6(target.address) ? 'udp6' : 'udp4')
    clients.set(client, { upstream, timer: setTimeout(() => drop(client), idleMilliseconds).unref() })
    upstream.on('message', (data) => {
      clients.get(client)?.timer.refresh()
      server.send(data, port, address)
    })
    upstream.on('error', () => drop(client))
    upstream.connect(target.port, target.address)
    upstream.unref()
    return upstream
  }
  server.on('message', (data, { address, port }) => {
    const client = `${address} ${port}`
    const known = clients.get(client)
    known?.timer.refresh()
    if (known === undefined && clients.size >= mostClients) return
    const upstream = known?.upstream ?? admit(client, address, port)
    sendWhenConnected(upstream, data)
  })
  server.on('error', () => undefined)
  server.bind({ fd })
  server.unref()
  return {
    [Symbol.dispose]: () => {
      for (const client of [...clients.keys()]) drop(client)
      server.close()
    },
  }
}

function sendWhenConnected(socket: DatagramSocket, data: Buffer): void {
  try {
    socket.remoteAddress()
    socket.send(data)
  } catch {
    socket.once('connect', () => socket.send(data))
  }
}
