/** What services do behind a published port: nginx, PostgreSQL, Redis from the images of .ci/services.mjs. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureServices, loadersRoot, serviceArchive } from '../../.ci/services.mjs'
import type { ApiPeer } from './api-peer.ts'
import { published, type Turns } from './published-port.ts'

type Service = { image: 'nginx' | 'postgres' | 'redis'; port: number; env?: readonly string[] }
/** Words of a program in `loadersRoot`, for an address and a port. */
type Words = (address: string, port: string) => string[]
export type Load = Service & {
  /** Has to succeed before anything is measured; asked again and again until it does. */
  ready: Words
  /** Once, then. */
  fill?: Words
  take: Words
  /** The number that is wanted, in what `take` has written. */
  figure: RegExp
}

const programs = '/usr/lib/postgresql/17/bin'

/** The programs know their own root and the peer's network. */
const program = (peer: ApiPeer, words: readonly string[]): string =>
  peer.place.run('chroot', [loadersRoot, 'env', 'PGPASSWORD=sesame', `PATH=${programs}:/usr/bin`, ...words])

async function untilReady(peer: ApiPeer, words: readonly string[]): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      program(peer, words)
      return
    } catch (error) {
      if (attempt === 100) throw error
      await sleep(100)
    }
  }
}

export async function prepareServices(): Promise<void> {
  const reason = existsSync(loadersRoot) ? undefined : ensureServices(console.error)
  if (reason !== undefined) throw new Error(reason)
}

const loaded = new WeakMap<ApiPeer, Set<string>>()

/** Once for each peer. */
async function ensureImage(peer: ApiPeer, name: string): Promise<void> {
  const names = loaded.get(peer) ?? new Set()
  loaded.set(peer, names)
  if (names.has(name)) return
  await peer.call('POST', '/v1.41/images/load?quiet=1', serviceArchive(name))
  names.add(name)
}

/** Requests or transactions a second. */
export const underLoad =
  (load: Load) =>
  async (peer: ApiPeer): Promise<Turns> => {
    await ensureImage(peer, load.image)
    await using undo = new AsyncDisposableStack()
    const server = undo.use(await published(peer, load.port, { Image: load.image, Env: load.env ?? [] }))
    const at = [server.address, server.port] as const
    await untilReady(peer, load.ready(...at))
    if (load.fill !== undefined) program(peer, load.fill(...at))
    const turn = (): number => {
      const told = program(peer, load.take(...at))
      const found = load.figure.exec(told)?.[1]
      if (found === undefined) throw new Error(`no figure in ${told}`)
      return Number(found)
    }
    const owned = undo.move()
    return { turn, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }

const wrk =
  (...more: string[]): Words =>
  (address, port) => [
    'wrk',
    '--threads',
    '1',
    '--connections',
    '16',
    '--duration',
    '3s',
    ...more,
    `http://${address}:${port}/`,
  ]
const pgbench =
  (...more: string[]): Words =>
  (address, port) => ['pgbench', '-h', address, '-p', port, '-U', 'postgres', ...more, 'postgres']
const redis =
  (name: string, ...more: string[]): Words =>
  (address, port) => [name, '-h', address, '-p', port, ...more]

const page: Words = (address, port) => ['wget', '-q', '-O', '-', `http://${address}:${port}/`]
const nginx = { image: 'nginx', port: 80, ready: page, figure: /Requests\/sec: +([\d.]+)/ } as const
const postgres = {
  image: 'postgres',
  port: 5432,
  env: ['POSTGRES_PASSWORD=sesame'],
  ready: (address: string, port: string) => ['pg_isready', '-h', address, '-p', port],
  fill: pgbench('--initialize', '--quiet', '--scale', '5'),
  figure: /tps = ([\d.]+) \(without/,
} as const

export const loads = {
  nginx: { ...nginx, take: wrk() },
  /** A connection for each request. */
  nginxAnew: { ...nginx, take: wrk('--header', 'Connection: close') },
  postgres: { ...postgres, take: pgbench('--client', '4', '--time', '4') },
  /** Only asks: the disk has no part in it. */
  postgresSelect: { ...postgres, take: pgbench('--client', '4', '--time', '3', '--select-only') },
  redis: {
    image: 'redis',
    port: 6379,
    ready: redis('redis-cli', '-e', 'ping'),
    take: redis('redis-benchmark', '--csv', '-t', 'set', '-n', '50000', '-c', '16'),
    figure: /"SET","([\d.]+)"/,
  },
} satisfies Record<string, Load>
