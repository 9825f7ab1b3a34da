import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byGatewayPreference, gatewayEndpoints } from '../../../engine/network/gateway-choice.ts'
import type { Endpoint } from '../../../engine/network/network.ts'

const endpoint = (networkName: string, more: Partial<Endpoint> = {}): Endpoint => ({
  networkId: networkName,
  networkName,
  endpointId: networkName,
  interfaceName: 'eth0',
  macAddress: '',
  ipAddress: '',
  prefixLength: 0,
  gateway: '10.0.0.1',
  ipv6Address: '',
  ipv6PrefixLength: 0,
  ipv6Gateway: '',
  aliases: [],
  dnsNames: [],
  links: {},
  gwPriority: 0,
  portRequest: {},
  ports: {},
  ...more,
})

const names = (endpoints: Endpoint[]) => {
  const chosen = gatewayEndpoints(endpoints)
  return [chosen[4]?.networkName, chosen[6]?.networkName]
}

test('the higher priority leads out, and between equals the name that comes first', () => {
  assert.deepEqual(names([endpoint('b'), endpoint('a')]), ['a', undefined])
  assert.deepEqual(names([endpoint('a'), endpoint('b', { gwPriority: 1 })]), ['b', undefined])
  assert.deepEqual(names([endpoint('a', { gwPriority: -1 }), endpoint('b')]), ['b', undefined])
  assert.deepEqual(
    [endpoint('c'), endpoint('a', { gwPriority: -5 }), endpoint('b')]
      .sort(byGatewayPreference)
      .map((e) => e.networkName),
    ['b', 'c', 'a'],
  )
})

test('each IP version by itself; what has no gateway leads nowhere', () => {
  const inner = endpoint('a', { gateway: '', gwPriority: 9 })
  const six = endpoint('b', { gateway: '', ipv6Gateway: 'fd00::1' })
  assert.deepEqual(names([inner, six, endpoint('c')]), ['c', 'b'])
  assert.deepEqual(names([inner]), [undefined, undefined])
})
