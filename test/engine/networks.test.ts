/** Networks over the API: statuses and words, what inspect shows, events; and a daemon killed while networks change. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noEngine, TestEngine } from './engine.ts'

type Endpoint = {
  IPAddress: string
  NetworkID: string
  Gateway: string
  DNSNames: string[] | null
  Aliases: string[] | null
}
type Inspected = {
  Id: string
  State: { Pid: number; Status: string }
  NetworkSettings: { Networks: Record<string, Endpoint>; Ports: Record<string, { HostPort: string }[] | null> }
}
type Network = { Id: string; Name: string; Containers: Record<string, { Name: string; IPv4Address: string }> }

const filter = (value: object): string => `filters=${encodeURIComponent(JSON.stringify(value))}`

describe('networks', { skip: noEngine || noPacketFilter }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  async function refused(method: string, path: string, body: object, status: number, words: RegExp): Promise<void> {
    const answer = await engine.call(method, path, { body })
    assert.equal(answer.status, status, answer.text)
    assert.match(answer.json<{ message: string }>().message, words)
  }
  const create = async (body: { Name: string; [field: string]: unknown }): Promise<string> => {
    const answer = await engine.call('POST', '/networks/create', { body })
    assert.equal(answer.status, 201, answer.text)
    return answer.json<{ Id: string }>().Id
  }
  const inspect = async (name: string): Promise<Inspected> =>
    (await engine.call('GET', `/containers/${name}/json`)).json<Inspected>()
  const network = async (name: string): Promise<Network> =>
    (await engine.call('GET', `/networks/${name}`)).json<Network>()
  const sleeper = (name: string, more: Record<string, unknown> = {}): Promise<string> =>
    engine.run(name, ['sleep', '600'], { HostConfig: { NetworkMode: 'sea' }, ...more })

  test('from create to remove, with the words that clients read', async () => {
    const id = await create({ Name: 'sea', Labels: { a: 'b' }, IPAM: { Config: [{ Subnet: '10.222.0.0/24' }] } })
    await refused('POST', '/networks/create', { Name: 'sea' }, 409, /^network with name sea already exists$/)
    await refused(
      'POST',
      '/networks/create',
      { Name: 'host' },
      403,
      /^operation is not permitted on predefined host network $/,
    )
    await refused('POST', '/networks/create', { Name: 'x', Driver: 'overlay' }, 404, /^plugin "overlay" not found$/)
    const bad = { Name: 'x', IPAM: { Config: [{ Subnet: '10.222.1.1/24' }] } }
    await refused(
      'POST',
      '/networks/create',
      bad,
      400,
      /^invalid network config:\ninvalid subnet 10\.222\.1\.1\/24: it should be/,
    )
    await sleeper('ship', {
      NetworkingConfig: { EndpointsConfig: { sea: { IPAMConfig: { IPv4Address: '10.222.0.77' }, Aliases: ['boat'] } } },
    })
    const { NetworkSettings, Id } = await inspect('ship')
    const sea = NetworkSettings.Networks.sea!
    assert.deepEqual([sea.IPAddress, sea.Gateway, sea.NetworkID], ['10.222.0.77', '10.222.0.1', id])
    assert.deepEqual(sea.DNSNames, ['ship', 'boat', Id.slice(0, 12)])
    assert.deepEqual(
      Object.values((await network('sea')).Containers).map(({ Name, IPv4Address }) => [Name, IPv4Address]),
      [['ship', '10.222.0.77/24']],
    )
    await refused(
      'DELETE',
      '/networks/sea',
      {},
      403,
      /^error while removing network: network sea has active endpoints \(name:"ship" id:"/,
    )
    await refused('DELETE', '/networks/bridge', {}, 403, /^bridge is a pre-defined network and cannot be removed$/)
    await refused('GET', '/networks/nosuch', {}, 404, /^network nosuch not found$/)
  })

  test('connect and disconnect: live, refused where they make no sense, told as events', async () => {
    await create({ Name: 'land' })
    const since = Math.floor(Date.now() / 1000)
    const body = { Container: 'ship', EndpointConfig: { Aliases: ['cart'], GwPriority: 5 } }
    assert.equal((await engine.call('POST', '/networks/land/connect', { body })).status, 200)
    await refused(
      'POST',
      '/networks/land/connect',
      body,
      403,
      /^endpoint with name ship already exists in network land$/,
    )
    await refused('POST', '/networks/land/connect', { Container: 'nobody' }, 404, /^No such container: nobody$/)
    await refused('POST', '/networks/host/connect', { Container: 'ship' }, 403, /cannot be connected to host network/)
    const { Networks } = (await inspect('ship')).NetworkSettings
    assert.deepEqual(Object.keys(Networks).sort(), ['land', 'sea'])
    assert.deepEqual(Networks.land!.Aliases, ['cart'])
    assert.equal((await engine.call('POST', '/networks/land/disconnect', { body: { Container: 'ship' } })).status, 200)
    await refused('POST', '/networks/land/disconnect', { Container: 'ship' }, 403, /is not connected to network land$/)
    const until = Math.floor(Date.now() / 1000) + 1
    const events = await engine.call('GET', `/events?since=${since}&until=${until}&${filter({ network: ['land'] })}`)
    const actions = events.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).Action)
    assert.deepEqual(actions.slice(-2), ['connect', 'disconnect'])
  })

  test('a network that a stopped container names is kept from pruning, others go', async () => {
    await create({ Name: 'unused' })
    assert.equal((await engine.call('POST', '/containers/ship/stop?t=0')).status, 204)
    const pruned = await engine.call('POST', '/networks/prune')
    assert.deepEqual(pruned.json<{ NetworksDeleted: string[] }>().NetworksDeleted.sort(), ['land', 'unused'])
    assert.equal((await engine.call('POST', '/containers/ship/start')).status, 204)
    assert.equal(
      (await inspect('ship')).NetworkSettings.Networks.sea!.IPAddress,
      '10.222.0.77',
      'its address is its own',
    )
    assert.equal((await engine.call('DELETE', '/containers/ship?force=1')).status, 204)
  })

  test('host and none show who is on them while it runs', async () => {
    for (const mode of ['host', 'none']) {
      const id = await engine.run(`on-${mode}`, ['sleep', '600'], { HostConfig: { NetworkMode: mode } })
      assert.deepEqual(Object.keys((await network(mode)).Containers), [id])
      await engine.call('DELETE', `/containers/${id}?force=1`)
      assert.deepEqual((await network(mode)).Containers, {})
    }
  })

  test('killed while networks change: both sides agree afterwards, and nothing is left over', async () => {
    for (const name of ['left', 'right']) await create({ Name: name })
    const ports = {
      HostConfig: { NetworkMode: 'left', PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] } },
    }
    await sleeper('moves', { ...ports, ExposedPorts: { '80/tcp': {} } })
    const port = (await inspect('moves')).NetworkSettings.Ports['80/tcp']![0]!.HostPort
    for (let round = 0; round < 3; round += 1) {
      const changes = (async () => {
        for (;;) {
          await engine.call('POST', '/networks/right/connect', { body: { Container: 'moves' } })
          await engine.call('POST', '/networks/right/disconnect', { body: { Container: 'moves' } })
        }
      })().catch(() => undefined)
      await wait(20 + round * 40)
      await engine.end('SIGKILL')
      await changes
      await engine.begin()
      const { NetworkSettings, Id } = await inspect('moves')
      for (const name of ['left', 'right']) {
        const shown = NetworkSettings.Networks[name]?.IPAddress ?? ''
        const member = (await network(name)).Containers[Id]?.IPv4Address.split('/')[0] ?? ''
        assert.equal(shown, member, `round ${round}: ${name}`)
      }
      assert.notEqual(NetworkSettings.Networks.left!.IPAddress, '')
      assert.equal(NetworkSettings.Ports['80/tcp']![0]!.HostPort, port)
      if (NetworkSettings.Networks.right !== undefined)
        await engine.call('POST', '/networks/right/disconnect', { body: { Container: 'moves' } })
    }
    await engine.call('DELETE', '/containers/moves?force=1')
    for (const name of ['left', 'right', 'sea'])
      assert.equal((await engine.call('DELETE', `/networks/${name}`)).status, 204)
  })
})
