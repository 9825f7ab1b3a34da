/** The docker command line as Microsoft's Container Tools call it: every list and inspect as JSON, a document a line. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { TestEngine } from '../engine/engine.ts'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noDocker } from './client-bed.ts'

type Row = Record<string, unknown>

describe('docker … --format {{json .}}', { skip: noDocker || noPacketFilter }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
    await engine.call('POST', '/networks/create', { body: { Name: 'sea' } })
    await engine.run('ship', ['sh', '-c', 'echo said; exec sleep 600'], {
      Labels: { a: 'b' },
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { NetworkMode: 'sea', Binds: ['hold:/hold'], PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1' }] } },
    })
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const format = ['--format', '{{json .}}']
  async function rows(...args: string[]): Promise<Row[]> {
    const { code, out, error } = await engine.docker([...args, ...format])
    assert.equal(code, 0, `docker ${args.join(' ')}: ${error}`)
    return out
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
  }

  test('lists', async () => {
    const [ship] = await rows('container', 'ls', '--all', '--no-trunc')
    assert.deepEqual(
      [ship?.Names, ship?.Image, ship?.State, ship?.Labels, ship?.Networks, ship?.Mounts],
      ['ship', 'host', 'running', 'a=b', 'sea', 'hold'],
    )
    assert.match(String(ship?.Ports), /^127\.0\.0\.1:\d+->80\/tcp$/)
    const [image] = await rows('image', 'ls', '--all', '--no-trunc', '--digests')
    assert.deepEqual([image?.Repository, image?.Tag], ['host', 'latest'])
    assert.deepEqual(
      (await rows('volume', 'ls')).map(({ Name }) => Name),
      ['hold'],
    )
    assert.deepEqual((await rows('network', 'ls', '--no-trunc')).map(({ Name }) => Name).toSorted(), [
      'bridge',
      'host',
      'none',
      'sea',
    ])
    for (const filter of ['label=a=b', 'label=a', 'network=sea', 'volume=hold', 'ancestor=host', 'name=shi'])
      assert.equal((await rows('container', 'ls', '--filter', filter)).length, 1, filter)
    assert.equal((await rows('volume', 'ls', '--filter', 'dangling=true')).length, 0)
    assert.equal((await rows('image', 'ls', '--filter', 'dangling=true')).length, 0)
  })

  test('inspects', async () => {
    for (const [kind, name] of [
      ['container', 'ship'],
      ['image', 'host'],
      ['volume', 'hold'],
      ['network', 'sea'],
    ] as const) {
      const [found] = await rows(kind, 'inspect', name)
      assert.ok(found !== undefined, kind)
      const several = await engine.docker([kind, 'inspect', name, 'no-such-thing', ...format])
      assert.deepEqual([several.code, several.out.trim().split('\n').length], [1, 1])
    }
    const [found] = await rows('container', 'inspect', 'ship')
    const { Ports } = (found as { NetworkSettings: { Ports: Record<string, { HostPort: string }[]> } }).NetworkSettings
    assert.match(Ports['80/tcp']?.[0]?.HostPort ?? '', /^\d+$/)
  })

  test('the engine, its events, one sample', async () => {
    assert.equal((await rows('info'))[0]?.OSType, 'linux')
    const [version] = await rows('version')
    assert.equal((version as { Server: Row }).Server.ApiVersion, '1.51')
    const [sample] = await rows('stats', '--no-stream', 'ship')
    assert.equal(sample?.Name, 'ship')
    const events = await rows('events', '--since', '1h', '--until', '0s', '--filter', 'type=container')
    assert.deepEqual(
      events.map(({ Action }) => Action),
      ['create', 'start'],
    )
    assert.equal((await rows('system', 'df')).length, 4)
    const { out } = await engine.docker(['container', 'logs', '--tail', '10', 'ship'])
    assert.equal(out, 'said\n')
  })
})
