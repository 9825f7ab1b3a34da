/** Containers that find each other by name, while the daemon is there and while it is not. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Bed, needsRoot } from './lifecycle-bed.ts'

const skip = needsRoot
let bed: Bed
before(async () => {
  if (skip !== false) return
  bed = new Bed()
  await bed.open()
  await bed.networks.create({ name: 'sea' })
})
after(async () => {
  if (skip === false) await bed.close()
})

const on = (network: string, name: string, aliases: string[] = []) => ({
  name,
  hostConfig: { NetworkMode: network },
  endpoints: { [network]: { Aliases: aliases } },
})

async function background(name: string, network = 'sea', aliases: string[] = []): Promise<string> {
  const id = await bed.create(['sleep', '600'], on(network, name, aliases))
  await bed.containers.start(id)
  return id
}

const addressOf = (name: string, network = 'sea'): string =>
  bed.containers.get(name).endpoints.find(({ networkName }) => networkName === network)!.ipAddress

const ask = async (from: string, ...names: string[]): Promise<string[]> => {
  const script = names.map((name) => `getent hosts ${name} || echo none`).join('; ')
  const { out } = await bed.run(script, on(from, `asks-${Math.random()}`))
  return out
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/)[0]!)
}

test('names, aliases, ids and addresses lead to each other on a network of their own', { skip }, async () => {
  const id = await background('db', 'sea', ['store'])
  const address = addressOf('db')
  assert.deepEqual(await ask('sea', 'db', 'store', id.slice(0, 12), 'db.sea', address), Array(5).fill(address))
  const { out } = await bed.run(`getent hosts ${address}; cat /etc/resolv.conf`, on('sea', 'reader'))
  assert.match(out, /\bdb\.sea$/m)
  assert.match(out, /^nameserver 127\.0\.0\.11$/m)
  assert.deepEqual(await ask('bridge', 'db'), ['none'], 'not on the default bridge')
  await bed.containers.rename('db', 'ledger')
  assert.deepEqual(await ask('sea', 'ledger', 'db', 'store'), [address, 'none', address])
  await bed.containers.remove('ledger', { force: true, volumes: false })
  assert.deepEqual(await ask('sea', 'ledger'), ['none'])
})

test('a container that joins a running network is found at once, and finds others', { skip }, async () => {
  await background('db')
  const watcher = await bed.create(
    ['sh', '-c', 'until getent hosts db; do sleep 0.05; done; until getent hosts late; do sleep 0.05; done'],
    on('bridge', 'watcher'),
  )
  const { result } = bed.containers.wait(watcher, 'next-exit')
  await bed.containers.start(watcher)
  await bed.containers.connect('watcher', 'sea', { Aliases: ['joined'] })
  assert.deepEqual(await ask('sea', 'joined'), [addressOf('watcher')])
  await background('late', 'bridge')
  await bed.containers.connect('late', 'sea', {})
  assert.equal((await result).statusCode, 0)
  await bed.containers.disconnect('late', 'sea', false)
  assert.deepEqual(await ask('sea', 'late', 'db'), ['none', addressOf('db')])
  for (const name of ['watcher', 'late', 'db']) await bed.containers.remove(name, { force: true, volumes: false })
})

test("a link is the container's own name for another", { skip }, async () => {
  await background('db')
  const { out } = await bed.run('getent hosts mine; getent hosts db', {
    name: 'linked',
    hostConfig: { NetworkMode: 'sea' },
    endpoints: { sea: { Links: ['db:mine'] } },
  })
  assert.equal(out.trim().split('\n').length, 2)
  assert.deepEqual(await ask('sea', 'mine'), ['none'], 'and nobody else sees it')
  await bed.containers.remove('db', { force: true, volumes: false })
})

test('names are served while the daemon is away, and are true after it is back', { skip }, async () => {
  await background('db')
  const id = await bed.create(
    ['sh', '-c', 'while sleep 0.05; do getent hosts db || echo none; done'],
    on('sea', 'asks'),
  )
  await bed.containers.start(id)
  const { logPath } = bed.containers.get('asks')
  const answers = (): number => (existsSync(logPath) ? readFileSync(logPath, 'utf8').split('\n').length : 0)
  await bed.crash()
  const before = answers()
  for (let rounds = 0; answers() < before + 10 && rounds < 500; rounds += 1) await wait(20)
  assert.ok(answers() >= before + 10, 'it goes on asking')
  await bed.open()
  const log = readFileSync(logPath, 'utf8')
  assert.doesNotMatch(log, /none/)
  assert.match(log, new RegExp(addressOf('db').replaceAll('.', '\\.')))
  await bed.containers.remove('db', { force: true, volumes: false })
  assert.deepEqual(await ask('sea', 'db'), ['none'])
  await bed.containers.remove('asks', { force: true, volumes: false })
  assert.deepEqual(readdirSync(join(bed.execRoot, 'names')), [])
  assert.deepEqual(bed.problems, [])
})
