import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listed } from '../../../engine/api/container-filters.ts'
import { inspectView, portsOf, summaryView } from '../../../engine/api/container-view.ts'
import { namedGroup } from '../../../engine/api/drydock-view.ts'
import { wireError } from '../../../engine/api/errors.ts'
import { eventView, matchesEvent } from '../../../engine/api/events.routes.ts'
import { Filters } from '../../../engine/api/filters.ts'
import { listedImages } from '../../../engine/api/image-filters.ts'
import { machineLoad, statsView } from '../../../engine/api/stats-view.ts'
import { EngineError } from '../../../engine/base/errors.ts'
import { never } from '../../../engine/base/time.ts'
import type { Image } from '../../../engine/images/image.ts'
import type { Container, ContainerState } from '../../../engine/lifecycle/container.ts'
import type { Containers } from '../../../engine/lifecycle/containers.ts'

const id = 'ab'.repeat(32)

const container = (name: string, state: ContainerState, more: Partial<Container> = {}): Container => ({
  id,
  name,
  created: '2026-01-02T03:04:05.000000006Z',
  imageId: 'sha256:1',
  config: { Image: 'host', ExposedPorts: { '80/tcp': {}, '81/udp': {} }, Labels: { a: 'b' } },
  hostConfig: { NetworkMode: 'sea' },
  networks: { sea: { NetworkID: 'n1', Aliases: ['boat'] } },
  endpoints: [],
  mounts: [],
  path: 'sh',
  args: ['-c', 'echo hi'],
  logPath: '/log',
  run: {
    state,
    pid: 0,
    exitCode: 0,
    error: '',
    oomKilled: false,
    startedAt: never,
    finishedAt: never,
    restartCount: 0,
    manuallyStopped: false,
  },
  hostnamePath: '',
  hostsPath: '',
  resolvConfPath: '',
  ...more,
})

const endpoint: Container['endpoints'][number] = {
  networkId: 'n1',
  networkName: 'sea',
  endpointId: 'e1',
  interfaceName: 'eth0',
  macAddress: '02:00:00:00:00:01',
  ipAddress: '172.18.0.2',
  prefixLength: 16,
  gateway: '172.18.0.1',
  ipv6Address: '',
  ipv6PrefixLength: 0,
  ipv6Gateway: '',
  aliases: [],
  dnsNames: [],
  links: {},
  gwPriority: 0,
  portRequest: {},
  ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '81/udp': null },
}

test('a stopped container keeps its networks, with empty addresses, and has no ports', () => {
  const view = inspectView(container('web', 'created'), [])
  assert.equal(view.Name, '/web')
  assert.equal(view.ExecIDs, null)
  assert.deepEqual(view.NetworkSettings.Ports, {})
  const sea = view.NetworkSettings.Networks.sea!
  assert.deepEqual([sea.IPAddress, sea.NetworkID, sea.Aliases], ['', 'n1', ['boat']])
  assert.deepEqual(sea.DNSNames, ['web', 'boat', id.slice(0, 12)])
  assert.equal(view.State.StartedAt, never)
  assert.deepEqual(view.HostConfig.LogConfig, { Type: 'json-file', Config: {} })
})

test('a running one has its addresses; exposed ports without a publication are null', () => {
  const running = container('web', 'running', { endpoints: [endpoint] })
  assert.deepEqual(portsOf(running), { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '81/udp': null })
  const view = summaryView(running, 'host', Date.parse('2026-01-02T03:05:05Z'))
  assert.deepEqual(view.Ports, [
    { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
    { PrivatePort: 81, Type: 'udp' },
  ])
  assert.equal(view.Command, "sh -c 'echo hi'")
  assert.deepEqual(view.Names, ['/web'])
  assert.equal(view.Created, 1767323045)
})

test('which containers a list means', () => {
  const all = [
    container('web2', 'running', { endpoints: [endpoint] }),
    container('web', 'exited'),
    container('db', 'created'),
  ]
  const containers = { list: () => all, get: () => all[0] } as unknown as Containers
  const names = (filters: object, more: { all?: boolean; limit?: number } = {}): string[] =>
    listed(
      containers,
      { all: more.all ?? false, limit: more.limit, filters: Filters.parse(JSON.stringify(filters)) },
      {
        imageIdOf: (reference) => (reference === 'host' ? 'sha256:1' : undefined),
        networkNameOf: (reference) => (reference === 'n1' ? 'sea' : undefined),
      },
    ).map(({ name }) => name)
  assert.deepEqual(names({}), ['web2'])
  assert.deepEqual(names({}, { all: true }), ['web2', 'web', 'db'])
  assert.deepEqual(names({}, { limit: 2 }), ['web2', 'web'])
  assert.deepEqual(names({ status: ['exited', 'created'] }), ['web', 'db'])
  assert.deepEqual(names({ name: ['web'] }, { all: true }), ['web2', 'web'])
  assert.deepEqual(names({ name: ['^/web$'] }, { all: true }), ['web'])
  assert.deepEqual(names({ exited: ['0'] }), ['web'])
  assert.deepEqual(names({ publish: ['8080'] }), ['web2'])
  assert.deepEqual(names({ expose: ['81/udp'] }), ['web2'])
  assert.deepEqual(names({ expose: ['81'] }), [])
  for (const network of ['sea', 'n1']) assert.deepEqual(names({ network: [network] }), ['web2'])
  assert.deepEqual(names({ network: ['n2'] }), [])
  assert.deepEqual(names({ ancestor: ['host'] }), ['web2'])
  assert.deepEqual(names({ ancestor: ['other'] }), [])
  assert.throws(() => names({ status: ['asleep'] }), { kind: 'invalid' })
  assert.throws(() => names({ nonsense: ['x'] }), { message: "invalid filter 'nonsense'" })
  assert.throws(() => names({ publish: ['x'] }), { kind: 'invalid' })
})

test('images by reference, glob and age', () => {
  const image = (tags: string[], created: string): Image => ({
    id: `sha256:${tags[0] ?? 'none'}`,
    tags,
    digests: [],
    config: { architecture: 'amd64', os: 'linux', created, rootfs: { type: 'layers', diff_ids: [] } },
    chainId: undefined,
    manifestDigest: '',
    size: 0,
    host: false,
  })
  const all = [image(['team/app:1', 'app:2'], '2024-01-01T00:00:00Z'), image([], '2025-01-01T00:00:00Z')]
  const count = (filters: object): number =>
    listedImages(all, Filters.parse(JSON.stringify(filters)), () => all[0]!).length
  assert.equal(count({ reference: ['app'] }), 1)
  assert.equal(count({ reference: ['*/app'] }), 1)
  assert.equal(count({ reference: ['*'] }), 1)
  assert.equal(count({ reference: ['ap?:2'] }), 1)
  assert.equal(count({ reference: ['team'] }), 0)
  assert.equal(count({ dangling: ['true'] }), 1)
  assert.equal(count({ since: ['app'] }), 1)
  assert.equal(count({ until: ['2024-06-01T00:00:00Z'] }), 1)
})

test('events: the older fields for containers and images, filters by prefix and by label', () => {
  const event = {
    type: 'container' as const,
    action: 'exec_start: sh -c true',
    actor: { id, attributes: { name: 'web', image: 'host', a: 'b' } },
    timeNano: 1_700_000_000_123_456_789n,
  }
  const view = eventView(event)
  assert.deepEqual([view.status, view.id, view.from, view.time], [event.action, id, 'host', 1_700_000_000])
  assert.equal(eventView({ ...event, type: 'network' }).status, undefined)
  const matches = (filters: object): boolean => matchesEvent(Filters.parse(JSON.stringify(filters)), event)
  assert.equal(matches({ event: ['exec_start'] }), true)
  assert.equal(matches({ event: ['exec'] }), false)
  assert.equal(matches({ container: ['we'] }), true)
  assert.equal(matches({ container: [id.slice(0, 6)], label: ['a=b'], type: ['container'] }), true)
  assert.equal(matches({ label: ['a=b', 'c'] }), false)
  assert.equal(matches({ image: ['host'] }), true)
  assert.equal(matches({ network: ['web'] }), false)
})

test('stats: what the processors were there for, and differences to the sample before', () => {
  const machine = machineLoad('cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\ncpu1 1\nintr 5\n', 1000)
  assert.deepEqual(machine, { systemCpu: 280_000_000, onlineCpus: 2, memory: 1000 })
  const sample = {
    read: 'now',
    use: {
      memory: { usage: 5, limit: 4000, stat: { cache: 1 }, oomKills: 0, failures: 2 },
      cpu: { usage: 10, user: 6, system: 4, periods: 0, throttledPeriods: 0, throttledTime: 0 },
      pids: { current: 3 },
      io: [{ major: 8, minor: 0, readBytes: 1, writeBytes: 2, reads: 3, writes: 4 }],
    },
    networks: {},
  }
  const first = statsView({ id, name: 'web' }, sample, machine, undefined)
  assert.equal(first.memory_stats.limit, 1000)
  assert.equal(first.precpu_stats.cpu_usage.total_usage, 0)
  assert.deepEqual(
    first.blkio_stats.io_service_bytes_recursive?.map(({ op, value }) => [op, value]),
    [
      ['read', 1],
      ['write', 2],
    ],
  )
  const second = statsView({ id, name: 'web' }, sample, machine, first)
  assert.deepEqual([second.preread, second.precpu_stats.cpu_usage.total_usage, second.name], ['now', 10, '/web'])
})

test('every kind of error has its status', () => {
  const kinds = [
    ['invalid', 400],
    ['unauthorized', 401],
    ['forbidden', 403],
    ['not-found', 404],
    ['conflict', 409],
    ['not-modified', 304],
    ['unavailable', 503],
    ['not-implemented', 501],
    ['internal', 500],
  ] as const
  for (const [kind, status] of kinds)
    assert.deepEqual(wireError(new EngineError(kind, 'why')), { status, message: 'why' })
  assert.deepEqual(wireError(new TypeError('oops')), { status: 500, message: 'oops' })
})

test('control groups get the names of their containers', () => {
  const node = {
    ContainerId: null,
    ContainerName: null,
    Processes: [],
    MemoryUsage: 0,
    MemoryLimit: null,
    CpuLimit: null,
    PidsLimit: null,
  }
  const tree = { ...node, Path: '/drydock', Children: [{ ...node, Path: `/drydock/${id}`, Children: [] }] }
  const named = namedGroup(tree, new Map([[id, { id, name: 'web' }]]))
  assert.deepEqual([named.ContainerName, named.Children[0]?.ContainerName], [null, 'web'])
})
