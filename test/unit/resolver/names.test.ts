import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressFromBytes, formatAddress } from '../../../engine/base/address.ts'
import { type DnsQuery, recordTypes } from '../../../engine/resolver/dns-message.ts'
import { findName, localAnswer, reversedAddress, type VisibleNetwork } from '../../../engine/resolver/names.ts'

const entry = (names: string[], ipv4: string, ipv6 = '') => ({ names, ipv4, ipv6 })

const sea: VisibleNetwork = {
  network: 'sea',
  links: { store: 'db' },
  entries: [
    entry(['db', 'postgres', '0123456789ab'], '172.20.0.2', 'fd00::2'),
    entry(['web-1', 'web'], '172.20.0.3'),
    entry(['web-2', 'web'], '172.20.0.4'),
    entry(['store'], '172.20.0.9'),
    entry(['Mixed'], '', 'fd00::7'),
    entry(['a.b'], '172.20.0.8'),
  ],
}
const land: VisibleNetwork = {
  network: 'land.old',
  links: {},
  entries: [entry(['db'], '172.21.0.2'), entry(['only'], '172.21.0.5')],
}
const networks = [sea, land]

const query = (name: string | undefined, type: number): DnsQuery => ({
  id: 1,
  flags: 0,
  name,
  type,
  question: Buffer.alloc(0),
})

function answered(name: string | undefined, type: keyof typeof recordTypes, turn = 0): string[] | undefined {
  return localAnswer(query(name, recordTypes[type]), networks, turn)?.records.map(({ type: kind, data }) =>
    kind === recordTypes.PTR ? data.toString('latin1') : formatAddress(addressFromBytes(data)),
  )
}

const found = (name: string): string[] => findName(networks, name).map(({ ipv4 }) => ipv4)

test('names, aliases and ids; the first network that knows a name has it', () => {
  for (const name of ['db', 'postgres', '0123456789ab']) assert.deepEqual(found(name), ['172.20.0.2'], name)
  assert.deepEqual(found('only'), ['172.21.0.5'])
  assert.deepEqual(found('nobody'), [])
})

test('a name on a network, also where both have dots', () => {
  assert.deepEqual(found('db.land.old'), ['172.21.0.2'])
  assert.deepEqual(found('db.sea'), ['172.20.0.2'])
  assert.deepEqual(found('a.b'), ['172.20.0.8'])
  assert.deepEqual(found('a.b.sea'), ['172.20.0.8'])
  assert.deepEqual(found('only.sea'), [])
})

test("a container's own alias hides a name that is spelled the same", () => {
  assert.deepEqual(found('store'), ['172.20.0.2'])
})

test('a name without such an address has an empty answer, not none', () => {
  assert.deepEqual(answered('db', 'AAAA'), ['fd00::2'])
  assert.deepEqual(answered('web-1', 'AAAA'), [])
  assert.deepEqual(answered('mixed', 'A'), [])
  assert.deepEqual(localAnswer(query('db', 15), networks, 0)?.records, [], 'other types are not asked for outside')
  assert.equal(answered('example.org', 'AAAA'), undefined)
  for (const name of ['', undefined]) assert.equal(answered(name, 'A'), undefined)
})

test('all holders of a name, another one first each time', () => {
  assert.deepEqual(answered('web', 'A', 0), ['172.20.0.3', '172.20.0.4'])
  assert.deepEqual(answered('web', 'A', 1), ['172.20.0.4', '172.20.0.3'])
})

test('from addresses back to names', () => {
  assert.deepEqual(answered('2.0.20.172.in-addr.arpa', 'PTR'), ['\x02db\x03sea\x00'])
  const six = `2.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`
  assert.deepEqual(answered(six, 'PTR'), ['\x02db\x03sea\x00'])
  assert.equal(answered('1.0.0.10.in-addr.arpa', 'PTR'), undefined)
  for (const name of ['2.0.20.in-addr.arpa', '2.0.20.999.in-addr.arpa', 'x.ip6.arpa'])
    assert.equal(reversedAddress(name), undefined)
})
