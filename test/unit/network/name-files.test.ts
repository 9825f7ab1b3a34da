import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameFiles } from '../../../engine/network/name-files.ts'
import type { Endpoint, NameFiles } from '../../../engine/network/network.ts'

const endpoint: Endpoint = {
  networkId: 'n',
  networkName: 'bridge',
  endpointId: 'e',
  interfaceName: 'eth0',
  macAddress: '',
  ipAddress: '172.17.0.2',
  prefixLength: 16,
  gateway: '172.17.0.1',
  ipv6Address: '',
  ipv6PrefixLength: 0,
  ipv6Gateway: '',
  aliases: [],
  dnsNames: [],
  links: {},
  gwPriority: 0,
  portRequest: {},
  ports: {},
}

const request: NameFiles = {
  hostname: 'box',
  domainname: '',
  endpoints: [endpoint],
  links: [],
  extraHosts: [],
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  hostNetwork: false,
}

const files = (change: Partial<NameFiles>, resolvConf = 'nameserver 192.0.2.53\nsearch corp.example\n') =>
  nameFiles(
    { ...request, ...change },
    {
      host: { hosts: '10.9.9.9 machine', hostname: 'machine', resolvConf },
      hostGateway: '172.17.0.1',
      namesPath: (id) => `/run/names/${id}`,
    },
  )

const settings = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

test('hosts: loopback first, extra hosts, then the container itself; tabs between', () => {
  const { hosts } = files({ extraHosts: ['db:10.0.0.5', 'up=host-gateway', 'six:[fd00::5]', 'v6:fd00::6'] })
  const lines = hosts.split('\n')
  assert.equal(lines[0], '127.0.0.1\tlocalhost')
  assert.ok(lines.includes('::1\tlocalhost ip6-localhost ip6-loopback'))
  assert.deepEqual(lines.slice(-6), [
    '10.0.0.5\tdb',
    '172.17.0.1\tup',
    'fd00::5\tsix',
    'fd00::6\tv6',
    '172.17.0.2\tbox',
    '',
  ])
})

test('hosts: the domain name makes a full name in front', () => {
  assert.match(files({ domainname: 'example.org' }).hosts, /^172\.17\.0\.2\tbox\.example\.org box$/m)
})

test("hosts: the host network has the machine's own, with the extra ones", () => {
  assert.equal(files({ hostNetwork: true, extraHosts: ['db:10.0.0.5'] }).hosts, '10.9.9.9 machine\n10.0.0.5\tdb\n')
})

test('hosts: an endpoint without an address has no line', () => {
  assert.doesNotMatch(files({ endpoints: [{ ...endpoint, ipAddress: '' }] }).hosts, /box/)
})

test('hostname ends its line', () => assert.equal(files({}).hostname, 'box\n'))

test("resolv.conf: the machine's servers, without those on its loopback", () => {
  const text =
    'nameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\noptions edns0\nsearch a.example b.example\n'
  assert.deepEqual(settings(files({}, text).resolvConf), [
    'nameserver 192.0.2.53',
    'search a.example b.example',
    'options edns0',
  ])
})

test('resolv.conf: public servers when none is left', () => {
  assert.deepEqual(settings(files({}, 'nameserver 127.0.0.1\n').resolvConf), [
    'nameserver 8.8.8.8',
    'nameserver 8.8.4.4',
  ])
})

test("resolv.conf: what the container asks for replaces the machine's; a dot searches nowhere", () => {
  const asked = files({ dns: ['127.0.0.1', '192.0.2.9'], dnsSearch: ['.'], dnsOptions: ['ndots:2'] })
  assert.deepEqual(settings(asked.resolvConf), ['nameserver 127.0.0.1', 'nameserver 192.0.2.9', 'options ndots:2'])
})

test('resolv.conf: the host network keeps the file to the byte', () => {
  const text = '# mine\nnameserver 127.0.0.53\n'
  assert.equal(files({ hostNetwork: true }, text).resolvConf, text)
})

const own = { ...endpoint, networkId: 'sea-id', networkName: 'sea', links: { store: 'db' } }

test('on a network of its own a container asks the resolver, with the search domains it has', () => {
  assert.deepEqual(settings(files({ endpoints: [own] }).resolvConf), [
    'nameserver 127.0.0.11',
    'search corp.example',
    'options ndots:0',
  ])
  const chosen = files({ endpoints: [own], dns: ['192.0.2.9'], dnsSearch: ['.'], dnsOptions: ['ndots:2'] }).resolvConf
  assert.deepEqual(settings(chosen), ['nameserver 127.0.0.11', 'options ndots:2'])
})

test('what the resolver works by', () => {
  assert.equal(files({}).resolver, undefined, 'not on the default bridge')
  assert.deepEqual(files({ endpoints: [endpoint, own] }).resolver, {
    networks: [{ names: '/run/names/sea-id', links: { store: 'db' } }],
    upstream: { machineFile: '/etc/resolv.conf', versions: [4] },
    patience: 2500,
    keepSingleLabels: false,
  })
  const chosen = files({ endpoints: [own], dns: ['192.0.2.9'], dnsOptions: ['ndots:1', 'timeout:1'] }).resolver
  assert.deepEqual([chosen!.upstream!.servers, chosen!.patience, chosen!.keepSingleLabels], [['192.0.2.9'], 1000, true])
  const inner = { ...own, gateway: '' }
  assert.equal(files({ endpoints: [inner] }).resolver!.upstream, undefined, 'nothing leaves an internal network')
})
