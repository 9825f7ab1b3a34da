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
type Published = { address: string; port: string; pid: number }

/** A running container on the bridge of which one port is published. */
export async function published(
  peer: ApiPeer,
  containerPort: number,
  more: { Image?: string; Env?: readonly string[]; Cmd?: readonly string[] },
): Promise<Published & AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  const key = `${containerPort}/tcp`
  const id = await peer.create(more.Cmd, 'bridge', {
    ...more,
    ExposedPorts: { [key]: {} },
    HostConfig: { PortBindings: { [key]: [{ HostIp: '', HostPort: '' }] } },
  })
  undo.use(peer.owned([id]))
  await peer.start(id)
  const { State, NetworkSettings } = await peer.call<Inspected>('GET', `/v1.41/containers/${id}/json`)
  const owned = undo.move()
  return {
    address: Object.values(NetworkSettings.Networks)[0]!.Gateway,
    port: NetworkSettings.Ports[key]![0]!.HostPort,
    pid: State.Pid,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What is measured a number at a time. */
export type Turns = AsyncDisposable & { turn: () => number }

/** With port-server.ts in the container's network. */
async function served(peer: ApiPeer): Promise<Published & AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  const container = undo.use(await published(peer, inside, { Cmd: ['sleep', '1000'] }))
  const words = [program('port-server'), `${container.pid}`, `${inside}`]
  const server = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  undo.defer(async () => {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  })
  await once(server.stdout, 'data')
  const owned = undo.move()
  return { ...container, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** As port-client.ts counts it. */
export const throughPort =
  (what: 'bytes' | 'connections') =>
  async (peer: ApiPeer): Promise<Turns> => {
    const server = await served(peer)
    const words = [program('port-client'), what, server.address, server.port]
    return {
      turn: () => Number(peer.place.run(process.execPath, words)),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  }
