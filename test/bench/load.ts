/** Many at once: long lists, events for many listeners, an answer while others work. */
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiPeer } from './api-peer.ts'

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function lists(peer: ApiPeer, rounds: number, path: string, wanted: number): Promise<number[]> {
  const numbers: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    let found: unknown[] = []
    numbers.push(
      await milliseconds(async () => {
        found = await peer.call<unknown[]>('GET', path)
      }),
    )
    if (found.length !== wanted) throw new Error(`${found.length} of ${wanted} containers were listed`)
  }
  return numbers
}

export async function listCreated(peer: ApiPeer, rounds: number): Promise<number[]> {
  const ids = await Array.fromAsync({ length: 1000 }, () => peer.create(['true']))
  await using _owned = peer.owned(ids)
  return await lists(peer, rounds, '/v1.41/containers/json?all=1', ids.length)
}

export async function listRunning(peer: ApiPeer, rounds: number): Promise<number[]> {
  await using _owned = await peer.sleepers(200)
  return await lists(peer, rounds, '/v1.41/containers/json', 200)
}

const listeners = 20
const happenings = 500
const atOnce = 8
/** Milliseconds in which those that are left have to arrive. */
const patience = 10_000

/** Counts the events of one stream; documents come one a line. */
function counted(stream: IncomingMessage): () => number {
  let count = 0
  stream.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) count += 1
  })
  stream.on('error', () => {})
  return () => count
}

/** Events a second, from the first exec that is made (which writes nothing to a disk) until all have heard of the last. */
async function told(peer: ApiPeer, id: string): Promise<number> {
  const query = encodeURIComponent(JSON.stringify({ type: ['container'], event: ['exec_create'] }))
  const streams = await Promise.all(
    Array.from({ length: listeners }, () => peer.open('GET', `/v1.41/events?filters=${query}`)),
  )
  try {
    const heard = streams.map(counted)
    const took = await milliseconds(async () => {
      let left = happenings
      const some = async (): Promise<void> => {
        while (left > 0) {
          left -= 1
          await peer.call('POST', `/v1.41/containers/${id}/exec`, { Cmd: ['true'] })
        }
      }
      await Promise.all(Array.from({ length: atOnce }, some))
      const end = performance.now() + patience
      while (heard.some((count) => count() < happenings) && performance.now() < end) await sleep(1)
    })
    const least = Math.min(...heard.map((count) => count()))
    if (least < happenings) throw new Error(`a listener heard of ${least} of ${happenings} events`)
    return (happenings * 1000) / took
  } finally {
    for (const stream of streams) stream.destroy()
  }
}

export async function events(peer: ApiPeer, rounds: number): Promise<number[]> {
  const id = await peer.create(['sleep', '1000'])
  await using _owned = peer.owned([id])
  await peer.start(id)
  const numbers: number[] = []
  for (let round = 0; round < rounds; round += 1) numbers.push(await told(peer, id))
  return numbers
}

const workers = 4
/** Milliseconds. */
const workFor = 8000

/** The 99th percentile of a ping's milliseconds while containers run and go, and one writes its log without a pause. */
export async function pingUnderLoad(peer: ApiPeer): Promise<number[]> {
  const flood = await peer.create(['yes'], 'none', {
    HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': '10m' } } },
  })
  await using _owned = peer.owned([flood])
  await peer.start(flood)
  const end = performance.now() + workFor
  const work = async (): Promise<void> => {
    while (performance.now() < end) await peer.run(['true'], 'none')
  }
  const pings: number[] = []
  const ping = async (): Promise<void> => {
    while (performance.now() < end) {
      pings.push(await milliseconds(() => peer.call('GET', '/_ping')))
      await sleep(10)
    }
  }
  await Promise.all([...Array.from({ length: workers }, work), ping()])
  return [pings.toSorted((a, b) => a - b)[Math.floor(pings.length * 0.99)]!]
}
