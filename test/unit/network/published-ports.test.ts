import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { portElement } from '../../../engine/network/firewall.ts'
import {
  PublishedPorts,
  portMap,
  portRange,
  publishedIn,
  wantedPorts,
} from '../../../engine/network/published-ports.ts'

test('exposed ports are shown, published ones are wanted', () => {
  const { wanted, shown } = wantedPorts({
    exposedPorts: ['443', '53/udp'],
    ports: { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '90/TCP': null },
  })
  assert.deepEqual(shown, ['443/tcp', '53/udp', '80/tcp', '90/tcp'])
  assert.deepEqual(wanted, [{ key: '80/tcp', protocol: 'tcp', port: 80, hostIp: '', hostPort: '8080' }])
})

test('publishing all gives each exposed port a free one, and leaves the given ones', () => {
  const { wanted } = wantedPorts({
    exposedPorts: ['443/tcp', '80/tcp'],
    ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }] },
    publishAllPorts: true,
  })
  assert.deepEqual(
    wanted.map(({ key, hostIp, hostPort }) => [key, hostIp, hostPort]),
    [
      ['443/tcp', '', ''],
      ['80/tcp', '127.0.0.1', '8080'],
    ],
  )
})

for (const ports of [
  { '0/tcp': null },
  { '65536/tcp': null },
  { 'http/tcp': null },
  { '80/quic': null },
  { '80/tcp': [{ HostIp: 'localhost', HostPort: '1' }] },
  { '80/tcp': [{ HostIp: '', HostPort: '99999' }] },
  { '80/tcp': [{ HostIp: '', HostPort: '90-80' }] },
  { '80/tcp': [{ HostIp: '', HostPort: '-80' }] },
  { '80/tcp': [{ HostIp: '', HostPort: 'x' }] },
  { '80/sctp': [{ HostIp: '', HostPort: '80' }] },
])
  test(`${JSON.stringify(ports)} cannot be published`, () =>
    assert.throws(
      () => wantedPorts({ ports }),
      (error) => isKind(error, 'invalid'),
    ))

test('a range, one port, or any', () => {
  assert.deepEqual(portRange('8000-8010'), { first: 8000, last: 8010 })
  assert.deepEqual(portRange('80'), { first: 80, last: 80 })
  assert.deepEqual(portRange(''), { first: 0, last: 0 })
  assert.deepEqual(portRange('0'), { first: 0, last: 0 })
})

test('the map that inspect shows leads back to what was bound', () => {
  const target = { ipAddress: '172.17.0.2', ipv6Address: 'fd00::2' }
  const map = {
    '80/tcp': [
      { HostIp: '0.0.0.0', HostPort: '8080' },
      { HostIp: '::', HostPort: '8080' },
    ],
    '53/udp': null,
  }
  const bound = publishedIn(map, target)
  assert.deepEqual(
    bound.map(({ hostAddress, address }) => [hostAddress, address]),
    [
      ['0.0.0.0', '172.17.0.2'],
      ['::', 'fd00::2'],
    ],
  )
  assert.deepEqual(portMap(['80/tcp', '53/udp'], bound), map)
})

test('the kernel leads a port on within a family; across families it cannot', () => {
  const port = { protocol: 'tcp', hostPort: 8080, port: 80, address: '172.17.0.2' } as const
  const any = portElement({ ...port, hostAddress: '0.0.0.0' })!
  assert.equal(any.map, 'published_ip')
  assert.equal(any.element.key.toString('hex'), '06000000' + '1f900000')
  assert.equal(any.element.data.toString('hex'), 'ac110002' + '00500000')
  const one = portElement({ ...port, hostAddress: '127.0.0.1' })!
  assert.equal(one.map, 'published_ip_at')
  assert.equal(one.element.key.toString('hex'), '7f000001' + '06000000' + '1f900000')
  assert.equal(portElement({ ...port, hostAddress: '::' }), undefined)
})

const target = { ipAddress: '127.0.0.2', ipv6Address: '' }
const wish = (hostIp: string, hostPort: string) =>
  ({ key: '9/tcp', protocol: 'tcp', port: 9, hostIp, hostPort }) as const

test('any port: one number for IPv4 and IPv6, bound until released', async () => {
  using ports = new PublishedPorts()
  const bound = ports.hold('a', [wish('', '')], target)
  const number = bound[0]!.hostPort
  assert.ok(number > 0)
  for (const { hostPort } of bound) assert.equal(hostPort, number)
  assert.throws(() => ports.hold('b', [wish('127.0.0.1', `${number}`)], target), {
    message: `Bind for 127.0.0.1:${number} failed: port is already allocated`,
  })
  const stranger = createServer().listen(number, '127.0.0.1')
  const [error] = await once(stranger, 'error')
  assert.equal(error.code, 'EADDRINUSE')
  ports.release('a')
  ports.release('a')
  assert.equal(ports.hold('c', [wish('127.0.0.1', `${number}`)], target).length, 1)
})

test("another process's port is refused with its reason, and nothing of the request stays bound", async () => {
  const stranger = createServer().listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  const taken = (stranger.address() as { port: number }).port
  try {
    using ports = new PublishedPorts()
    const free = ports.hold('x', [wish('127.0.0.1', '')], target)[0]!.hostPort
    ports.release('x')
    assert.throws(() => ports.hold('a', [wish('127.0.0.1', `${free}`), wish('127.0.0.1', `${taken}`)], target), {
      message: `failed to bind host port for 127.0.0.1:${taken}:127.0.0.2:9/tcp: address already in use`,
    })
    assert.deepEqual(ports.of('a'), [])
    assert.equal(ports.hold('b', [wish('127.0.0.1', `${free}`)], target).length, 1)
  } finally {
    stranger.close()
  }
})

test('a range takes the first that is free; an address that is not ours is named', () => {
  using ports = new PublishedPorts()
  const [first] = ports.hold('a', [wish('127.0.0.1', '')], target)
  const from = Math.min(first!.hostPort, 65530)
  const [second] = ports.hold('b', [wish('127.0.0.1', `${from}-${from + 5}`)], target)
  assert.notEqual(second!.hostPort, first!.hostPort)
  assert.throws(
    () => ports.hold('c', [wish('192.0.2.1', '0')], target),
    /failed to bind host port for 192\.0\.2\.1:0:127\.0\.0\.2:9\/tcp: cannot assign requested address/,
  )
})
