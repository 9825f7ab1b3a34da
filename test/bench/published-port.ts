/** What a published port costs: bytes and connections through it, by an address of the machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ApiPeer } from './api-peer.ts'

const inside = 8080
const program = (name: string): string => join(import.meta.dirname, `${name}.ts`)

type Inspected = {
  State: { Pid: number }
  NetworkSettings: { Ports: Record<string, { HostPort: string }[]>; Networks: Record<string, { Gateway: string }> }
}

/** Of the machine, but not loopback, where engines differ in what leads on: the kernel, or a program. */
type Served = { address: string; port: string }

async function served(peer: ApiPeer): Promise<Served & AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  const key = `${inside}/tcp`
  const id = await peer.create(['sleep', '1000'], 'bridge', {
    ExposedPorts: { [key]: {} },
    HostConfig: { PortBindings: { [key]: [{ HostIp: '', HostPort: '' }] } },
  })
  undo.use(peer.owned([id]))
  await peer.start(id)
  const { State, NetworkSettings } = await peer.call<Inspected>('GET', `/v1.41/containers/${id}/json`)
  const words = [program('port-server'), `${State.Pid}`, `${inside}`]
  const server = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  undo.defer(async () => {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  })
  await once(server.stdout, 'data')
  const owned = undo.move()
  return {
    address: Object.values(NetworkSettings.Networks)[0]!.Gateway,
    port: NetworkSettings.Ports[key]![0]!.HostPort,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** As port-client.ts counts it. */
export const throughPort =
  (what: 'bytes' | 'connections') =>
  async (peer: ApiPeer, rounds: number): Promise<number[]> => {
    await using server = await served(peer)
    const words = [program('port-client'), what, server.address, server.port]
    return Array.from({ length: rounds }, () => Number(peer.place.run(process.execPath, words)))
  }
