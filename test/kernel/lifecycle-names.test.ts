/** Containers that find each other by name, while the daemon is there and while it is not. */
import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { addressFromBytes, formatAddress } from '../../engine/base/address.ts'
import { inNetworkNamespace } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { addressIn, listAddresses } from '../../engine/kernel/route-messages.ts'
import { Bed } from './lifecycle-bed.ts'
import { noPacketFilter } from './packet-filter.ts'

const skip = noPacketFilter
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

/** What a script prints that is run in a container by `exec`. */
async function outputOf(container: string, script: string): Promise<string> {
  const id = await bed.containers.createExec(container, {
    ...{ env: [], user: '', workingDir: '', privileged: false, tty: false },
    ...{ cmd: ['sh', '-c', script], attachStdin: false, attachStdout: true, attachStderr: false },
  })
  const stream = await bed.containers.startExec(id, { detach: false, tty: true })
  return await text(stream as Duplex)
}

test('links on the default bridge: a line in the hosts file, variables, and the address after a restart', {
  skip,
}, async () => {
  // A name that can be the beginning of no identifier.
  const child = await bed.create(['sleep', '600'], {
    name: 'sql',
    config: { Image: 'host', ExposedPorts: { '5432/tcp': {} }, Env: ['MODE=fast'] },
    hostConfig: { NetworkMode: 'bridge' },
  })
  const linked = (name: string) => ({ name, hostConfig: { NetworkMode: 'bridge', Links: ['sql:store'] } })
  const parent = await bed.create(['sh', '-c', 'env; cat /etc/hosts; exec sleep 600'], linked('web'))
  await assert.rejects(bed.containers.start(parent), /Cannot link to a non running container: \/sql AS \/web\/store/)
  await bed.containers.start(child)
  await bed.containers.start(parent)
  const { hostsPath, logPath } = bed.containers.get('web')
  const line = (): string => `${addressOf('sql', 'bridge')}\tstore ${child.slice(0, 12)} sql\n`
  assert.ok(readFileSync(hostsPath, 'utf8').includes(line()))
  for (let round = 0; !readFileSync(logPath, 'utf8').includes('STORE_ENV_MODE'); round += 1) {
    assert.ok(round < 250, readFileSync(logPath, 'utf8'))
    await wait(20)
  }
  const log = readFileSync(logPath, 'utf8')
  assert.ok(log.includes(`STORE_PORT_5432_TCP_ADDR=${addressOf('sql', 'bridge')}`))
  assert.ok(log.includes('STORE_NAME=/web/store') && log.includes('STORE_ENV_MODE=fast'))
  const old = line()
  await bed.containers.rename('sql', 'ledger')
  await bed.containers.restart('ledger', { timeout: 0 })
  const hosts = readFileSync(hostsPath, 'utf8')
  assert.ok(hosts.includes(`${addressOf('ledger', 'bridge')}\tstore ${child.slice(0, 12)} ledger\n`), hosts)
  assert.ok(!hosts.includes(old) || old.startsWith(addressOf('ledger', 'bridge')))
  // What is run in it later sees where its link leads now, and nothing where that does not run.
  const variables = 'echo $STORE_PORT_5432_TCP_ADDR $STORE_ENV_MODE'
  assert.equal(await outputOf('web', variables), `${addressOf('ledger', 'bridge')} fast\n`)
  await bed.containers.stop('ledger', { timeout: 0 })
  assert.equal(await outputOf('web', variables), '\n')
  await assert.rejects(bed.create(['true'], linked('other')), /could not get container for sql/)
  for (const name of ['web', 'ledger']) await bed.containers.remove(name, { force: true, volumes: false })
})

test('what the user wrote into the files stays when networks come and go', { skip }, async () => {
  const id = await background('edits', 'bridge')
  const { hostsPath, resolvConfPath } = bed.containers.get('edits')
  await bed.containers.connect('edits', 'sea', {})
  assert.match(readFileSync(resolvConfPath, 'utf8'), /^nameserver 127\.0\.0\.11$/m)
  await bed.containers.disconnect('edits', 'sea', false)
  appendFileSync(hostsPath, '10.9.9.9\tmine\n')
  writeFileSync(resolvConfPath, 'nameserver 192.0.2.1\n')
  await bed.containers.connect('edits', 'sea', {})
  const hosts = readFileSync(hostsPath, 'utf8')
  assert.ok(hosts.includes('10.9.9.9\tmine\n') && hosts.includes(`${addressOf('edits')}\t${id.slice(0, 12)}\n`), hosts)
  assert.equal(readFileSync(resolvConfPath, 'utf8'), 'nameserver 192.0.2.1\n')
  const address = addressOf('edits')
  await bed.containers.disconnect('edits', 'sea', false)
  assert.ok(!readFileSync(hostsPath, 'utf8').includes(address))
  await bed.containers.restart('edits', { timeout: 0 })
  assert.doesNotMatch(
    readFileSync(hostsPath, 'utf8') + readFileSync(resolvConfPath, 'utf8'),
    /10\.9\.9\.9|192\.0\.2\.1/,
  )
  await bed.containers.remove('edits', { force: true, volumes: false })
})

test('endpoint settings that cannot be are refused before anything is made', { skip }, async () => {
  const create = (network: string, settings: object) =>
    bed.create(['true'], { hostConfig: { NetworkMode: network }, endpoints: { [network]: settings } })
  for (const [network, settings, sentence] of [
    ['bridge', { IPAMConfig: { IPv4Address: '172.17.0.99' } }, /IP address is supported on user defined networks only/],
    ['bridge', { Aliases: ['x'] }, /alias is supported only for containers in user defined networks/],
    ['sea', { IPAMConfig: { IPv4Address: '192.0.2.1' } }, /no configured subnet contains IP address 192\.0\.2\.1$/],
    ['sea', { IPAMConfig: { IPv4Address: 'fd00::1' } }, /invalid IPv4 address: fd00::1/],
    ['sea', { IPAMConfig: { LinkLocalIPs: ['x'] } }, /invalid link-local IP address: x/],
  ] as const)
    await assert.rejects(create(network, settings), sentence)
  await background('edits', 'bridge')
  await assert.rejects(
    bed.containers.connect('edits', 'sea', { IPAMConfig: { IPv4Address: '192.0.2.1' } }),
    /^EngineError: invalid endpoint settings:\nno configured subnet/,
  )
  const sysctls = { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1' }
  const named = { 'com.docker.network.endpoint.ifname': 'sea0', ...sysctls }
  await bed.containers.connect('edits', 'sea', { DriverOpts: named, IPAMConfig: { LinkLocalIPs: ['169.254.7.7'] } })
  const { run } = bed.containers.get('edits')
  const [martians, addresses] = inNetworkNamespace(`/proc/${run.pid}/ns/net`, () => {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    return [
      readFileSync('/proc/sys/net/ipv4/conf/sea0/log_martians', 'utf8').trim(),
      socket.dump(listAddresses()).map((body) => formatAddress(addressFromBytes(addressIn(body).address))),
    ]
  })
  assert.equal(martians, '1')
  assert.ok(addresses.includes('169.254.7.7') && addresses.includes(addressOf('edits')))
  await bed.containers.remove('edits', { force: true, volumes: false })
})
