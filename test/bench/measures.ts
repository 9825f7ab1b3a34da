/** What is measured: each is a function of a peer that yields a number per round. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiPeer } from './api-peer.ts'
import { events, listCreated, listRunning, pingUnderLoad } from './load.ts'
import { pss } from './place.ts'
import { type Turns, throughPort } from './published-port.ts'
import { ensurePullImage, pullReference, registryAt } from './pull-image.ts'
import { type Load, loads, prepareServices, underLoad } from './services.ts'

export type Measure = {
  name: string
  title: string
  unit: 'ms' | 'MiB' | 'MB/s' | 'requests/s' | 'transactions/s' | 'events/s'
  rounds: number
  /** Rounds before, whose numbers do not count. */
  warm?: number
  /** Once, before any peer is asked. */
  prepare?: () => Promise<void>
} & (
  | {
      /** One number for each round. */
      take: (peer: ApiPeer, rounds: number) => Promise<number[]>
    }
  | {
      /** For what the rest of the machine disturbs: all peers are made ready, and take turns. */
      ready: (peer: ApiPeer) => Promise<Turns>
    }
)

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

const budget = 15_000

/** No more rounds once they have taken the time that a measure has, in ms; one is made in any case. */
async function each(rounds: number, round: () => Promise<number>): Promise<number[]> {
  const numbers: number[] = []
  const end = performance.now() + budget
  while (numbers.length === 0 || (numbers.length < rounds && performance.now() < end)) numbers.push(await round())
  return numbers
}

const run = (network: string) => (peer: ApiPeer, rounds: number) =>
  each(rounds, () => timed(() => peer.run(['true'], network)))

async function exec(peer: ApiPeer, rounds: number): Promise<number[]> {
  const id = await peer.create(['sleep', '1000'])
  await using _owned = peer.owned([id])
  await peer.start(id)
  return await each(rounds, () =>
    timed(async () => {
      const body = { Cmd: ['true'], AttachStdout: true, AttachStderr: true }
      const { Id } = await peer.call<{ Id: string }>('POST', `/v1.41/containers/${id}/exec`, body)
      await peer.call('POST', `/v1.41/exec/${Id}/start`, { Detach: false, Tty: false })
      const { ExitCode } = await peer.call<{ ExitCode: number }>('GET', `/v1.41/exec/${Id}/json`)
      if (ExitCode !== 0) throw new Error(`exit code ${ExitCode}`)
    }),
  )
}

const parallel = (peer: ApiPeer, rounds: number): Promise<number[]> =>
  each(rounds, () => timed(() => Promise.all(Array.from({ length: 50 }, () => peer.run(['true'], 'bridge')))))

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

/** Milliseconds after its start in which a daemon may put its memory in order. */
const settling = 12_000

async function idle(peer: ApiPeer): Promise<number[]> {
  await sleep(Math.max(0, peer.begun + settling - performance.now()))
  return [sum(peer.place.processes().map(pss))]
}

const settlingOfShims = 4000

async function shim(peer: ApiPeer): Promise<number[]> {
  const before = new Set(peer.place.processes())
  await using _owned = await peer.sleepers(50)
  // As with the idle engine: what a start needed may be given back first.
  await sleep(settlingOfShims)
  const added = peer.place.processes().filter((pid) => !before.has(pid))
  return [sum(added.map(pss)) / 50]
}

async function pull(peer: ApiPeer, rounds: number): Promise<number[]> {
  using _registry = await registryAt(peer.place)
  const { name, tag } = pullReference
  return await each(rounds, async () => {
    const took = await timed(() => peer.pull(name, tag))
    await peer.call('DELETE', `/v1.41/images/${name}:${tag}`)
    return took
  })
}

const megabytes = 200
const writer = `yes ${'x'.repeat(99)} | head -c ${megabytes * 1e6}`

/** As most programs log: one write(2) a line, where `writer` has many in one. */
const lineWriter = `${writer} | awk '{ print; fflush() }'`

async function logged(peer: ApiPeer, program = writer): Promise<{ id: string; took: number }> {
  const id = await peer.create(['sh', '-c', program])
  const took = await timed(async () => {
    await peer.start(id)
    await peer.wait(id)
  })
  return { id, took }
}

const logWrite =
  (program: string): ((peer: ApiPeer, rounds: number) => Promise<number[]>) =>
  (peer, rounds) =>
    each(rounds, async () => {
      const { id, took } = await logged(peer, program)
      await peer.remove(id)
      return took
    })

async function logRead(peer: ApiPeer, rounds: number): Promise<number[]> {
  const { id } = await logged(peer)
  await using _owned = peer.owned([id])
  return await each(rounds, async () => {
    let bytes = 0
    const took = await timed(async () => {
      for await (const chunk of await peer.open('GET', `/v1.41/containers/${id}/logs?stdout=1&stderr=1`))
        bytes += (chunk as Buffer).length
    })
    if (bytes < megabytes * 1e6) throw new Error(`only ${bytes} bytes came back`)
    return (megabytes * 1000) / took
  })
}

/** The same program without any engine, to a file on the peer's disk. */
const writeAlone =
  (program: string): ((peer: ApiPeer, rounds: number) => Promise<number[]>) =>
  (peer, rounds) =>
    each(rounds, async () => {
      const path = peer.place.path('lines')
      const took = await timed(async () => spawnSync('sh', ['-c', `${program} > ${path}`]))
      rmSync(path)
      return took
    })

async function restart(peer: ApiPeer, rounds: number): Promise<number[]> {
  await using _owned = await peer.sleepers(50)
  return await each(rounds, async () => {
    await peer.end()
    return await timed(async () => {
      await peer.begin()
      const running = await peer.call<unknown[]>('GET', '/v1.41/containers/json')
      if (running.length !== 50) throw new Error(`${running.length} of 50 containers run`)
    })
  })
}

const service = (name: string, title: string, unit: Measure['unit'], load: Load): Measure => {
  return { name: `services-${name}`, title, unit, rounds: 3, warm: 1, prepare: prepareServices, ready: underLoad(load) }
}

export const measures: readonly Measure[] = [
  { name: 'idle', title: 'idle engine, memory', unit: 'MiB', rounds: 1, take: idle },
  { name: 'run-none', title: 'run to removed, no network', unit: 'ms', rounds: 20, warm: 3, take: run('none') },
  { name: 'run-bridge', title: 'run to removed, bridge', unit: 'ms', rounds: 20, warm: 3, take: run('bridge') },
  { name: 'exec', title: 'exec to its exit code', unit: 'ms', rounds: 20, warm: 3, take: exec },
  { name: 'parallel', title: '50 at once on the bridge', unit: 'ms', rounds: 3, take: parallel },
  { name: 'shim', title: 'memory per container, of 50', unit: 'MiB', rounds: 1, take: shim },
  { name: 'list-created', title: 'list of 1000 created', unit: 'ms', rounds: 10, warm: 2, take: listCreated },
  { name: 'list-running', title: 'list of 200 running', unit: 'ms', rounds: 10, warm: 2, take: listRunning },
  { name: 'events', title: '500, to 20 listeners', unit: 'events/s', rounds: 3, warm: 1, take: events },
  { name: 'ping', title: 'under load, 99th percentile', unit: 'ms', rounds: 1, take: pingUnderLoad },
  { name: 'restart', title: 'restart over 50 containers', unit: 'ms', rounds: 3, take: restart },
  { name: 'line-writer', title: '200 MB line by line, to a file', unit: 'ms', rounds: 3, take: writeAlone(lineWriter) },
  { name: 'line-write', title: '200 MB line by line, logged', unit: 'ms', rounds: 2, take: logWrite(lineWriter) },
  { name: 'log-writer', title: '200 MB at once, to a file', unit: 'ms', rounds: 3, take: writeAlone(writer) },
  { name: 'log-write', title: '200 MB at once, logged', unit: 'ms', rounds: 2, take: logWrite(writer) },
  { name: 'log-read', title: '200 MB of lines, read back', unit: 'MB/s', rounds: 2, take: logRead },
  { name: 'port-bytes', title: 'through a published port', unit: 'MB/s', rounds: 3, ready: throughPort('bytes') },
  {
    name: 'port-connect',
    title: '2000 connections to one',
    unit: 'ms',
    rounds: 3,
    warm: 1,
    ready: throughPort('connections'),
  },
  { name: 'pull', title: 'pull of 370 MB in 4 layers', unit: 'ms', rounds: 2, prepare: ensurePullImage, take: pull },
  service('nginx', 'wrk, 16 connections', 'requests/s', loads.nginx),
  service('nginx-anew', 'wrk, each request a connection', 'requests/s', loads.nginxAnew),
  service('postgres', 'pgbench, 4 clients', 'transactions/s', loads.postgres),
  service('postgres-select', 'pgbench --select-only', 'transactions/s', loads.postgresSelect),
  service('redis', 'redis-benchmark, SET', 'requests/s', loads.redis),
]
