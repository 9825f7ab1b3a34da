import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answerCode,
  type DnsQuery,
  encodeAnswer,
  encodeName,
  encodeRefusal,
  parseQuery,
  recordTypes,
  responseCodes,
  withIdentifier,
} from '../../../engine/resolver/dns-message.ts'

/** A query as a client sends it, by hand. */
function ask(name: string, type: number, more: { payloadSize?: number; flags?: number } = {}): Buffer {
  const header = Buffer.from('123401000001000000000000', 'hex')
  header.writeUInt16BE(more.flags ?? 0x0100, 2)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(type, 0)
  tail.writeUInt16BE(1, 2)
  const parts = [header, encodeName(name) ?? Buffer.of(0), tail]
  if (more.payloadSize !== undefined) {
    header.writeUInt16BE(1, 10)
    const opt = Buffer.from('0000290000000000000000', 'hex')
    opt.writeUInt16BE(more.payloadSize, 3)
    parts.push(opt)
  }
  return Buffer.concat(parts)
}

function parsed(message: Buffer): DnsQuery {
  const result = parseQuery(message)
  assert.equal(result.kind, 'query')
  return (result as { query: DnsQuery }).query
}

const addresses = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ type: recordTypes.A, data: Buffer.of(10, 0, 0, index) }))

test('a question is read: name in lower case, type, what EDNS says', () => {
  const query = parsed(ask('Web.Sea', recordTypes.AAAA, { payloadSize: 1232 }))
  assert.deepEqual([query.id, query.name, query.type, query.payloadSize], [0x1234, 'web.sea', 28, 1232])
  assert.equal(parsed(ask('', recordTypes.A)).name, '')
})

test('an answer: bytes as RFC 1035 draws them', () => {
  const query = parsed(ask('db', recordTypes.A))
  const records = [{ type: recordTypes.A, data: Buffer.of(172, 18, 0, 2) }]
  const answer = encodeAnswer(query, { code: responseCodes.NOERROR, records, lifetime: 600 }, 'datagram')
  assert.equal(
    answer.toString('hex'),
    '1234 8580 0001 0001 0000 0000 02 6462 00 0001 0001 c00c 0001 0001 00000258 0004 ac120002'.replaceAll(' ', ''),
  )
})

test('what does not fit a datagram is left out, and a stream asked for', () => {
  const many = { code: responseCodes.NOERROR, records: addresses(200) }
  for (const [payloadSize, most] of [
    [undefined, 512],
    [100, 512],
    [1232, 1232],
    [65535, 4096],
  ] as const) {
    const query = parsed(ask('many', recordTypes.A, payloadSize === undefined ? {} : { payloadSize }))
    const answer = encodeAnswer(query, many, 'datagram')
    assert.ok(answer.length <= most && answer.length > most - 32 - 900, `${answer.length} of ${most}`)
    assert.equal((answer.readUInt16BE(2) & 0x0200) !== 0, answer.readUInt16BE(6) < 200)
    assert.equal(answer.readUInt16BE(10), payloadSize === undefined ? 0 : 1, 'EDNS is answered with EDNS')
  }
  assert.equal(encodeAnswer(parsed(ask('many', recordTypes.A)), many, 'stream').readUInt16BE(6), 200)
})

test('what is no query is never answered; what is a broken one is refused', () => {
  const header = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')
  const cases: [Buffer, string | number][] = [
    [Buffer.alloc(0), 'noise'],
    [header('1234 0100 0001 0000 0000'), 'noise'],
    [ask('a', 1, { flags: 0x8180 }), 'noise'],
    [ask('a', 1, { flags: 0x2800 }), responseCodes.NOTIMP],
    [header('1234 0100 0001 0000 0000 0000'), responseCodes.FORMERR],
    [header('1234 0100 0002 0000 0000 0000 01 61 00 0001 0001 01 62 00 0001 0001'), responseCodes.FORMERR],
    [header('1234 0100 ffff ffff ffff ffff'), responseCodes.FORMERR],
    // A pointer to itself, one to the header, one beyond the end.
    [header('1234 0100 0001 0000 0000 0000 c00c 0001 0001'), responseCodes.FORMERR],
    [header('1234 0100 0001 0000 0000 0000 01 61 c000 0001 0001'), responseCodes.FORMERR],
    [header('1234 0100 0001 0000 0000 0000 ffff 0001 0001'), responseCodes.FORMERR],
    // A label longer than the message, a label type that was never defined.
    [header('1234 0100 0001 0000 0000 0000 3f 61'), responseCodes.FORMERR],
    [header('1234 0100 0001 0000 0000 0000 41 61 00 0001 0001'), responseCodes.FORMERR],
    [header('1234 0100 0001 0000 0000 0000 01 61 00 0001'), responseCodes.FORMERR],
    [header('1234 0100 0001 0000 0000 0000 01 61 00 0001 0003'), responseCodes.REFUSED],
    // More additional records than there are bytes.
    [header('1234 0100 0001 0000 0000 ffff 01 61 00 0001 0001'), responseCodes.FORMERR],
    [header('1234 0100 0001 0000 0000 0001 01 61 00 0001 0001 00 0029 1000 00000000 ffff'), responseCodes.FORMERR],
  ]
  for (const [bytes, expected] of cases) {
    const result = parseQuery(bytes)
    assert.equal(result.kind === 'refused' ? result.code : result.kind, expected, bytes.toString('hex'))
    if (result.kind === 'refused') assert.equal(encodeRefusal(result).length, 12)
  }
  const long = Buffer.concat([
    header('1234 0100 0001 0000 0000 0000'),
    ...Array(200).fill(Buffer.of(1, 97)),
    header('00 0001 0001'),
  ])
  assert.equal(parseQuery(long).kind, 'refused', 'a name of more than 255 bytes')
})

test('any bytes at all are survived', () => {
  let state = 1
  const next = (): number => {
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return state >> 16
  }
  const base = ask('some.name.example', 1, { payloadSize: 1232 })
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(base.subarray(0, next() % (base.length + 1)))
    for (let change = next() % 4; change > 0 && bytes.length > 0; change -= 1) bytes[next() % bytes.length] = next()
    const result = parseQuery(bytes)
    if (result.kind === 'query') encodeAnswer(result.query, { code: 0, records: addresses(3) }, 'datagram')
  }
})

test('a dot inside a label makes a name that no text stands for', () => {
  const message = Buffer.from('12340100000100000000000003612e620000010001', 'hex')
  assert.equal(parsed(message).name, undefined)
})

test('an answer from upstream counts when identifier and question are the ones sent', () => {
  const query = parsed(ask('Example.org', recordTypes.A))
  const answer = encodeAnswer({ ...query, id: 7 }, { code: responseCodes.NXDOMAIN, records: [] }, 'datagram')
  assert.equal(answerCode(answer, 7, query.question), responseCodes.NXDOMAIN)
  assert.equal(answerCode(answer, 8, query.question), undefined)
  const lower = parsed(ask('example.org', recordTypes.A)).question
  assert.equal(answerCode(answer, 7, lower), responseCodes.NXDOMAIN, 'in whichever spelling')
  assert.equal(answerCode(answer, 7, parsed(ask('example.org', recordTypes.AAAA)).question), undefined)
  assert.equal(
    answerCode(ask('Example.org', recordTypes.A), 0x1234, query.question),
    undefined,
    'a question is no answer',
  )
  assert.equal(answerCode(answer.subarray(0, 14), 7, query.question), undefined)
  assert.equal(withIdentifier(answer, 0xbeef).readUInt16BE(0), 0xbeef)
})

test('names that records cannot hold', () => {
  assert.deepEqual(encodeName('db.sea'), Buffer.from('\x02db\x03sea\x00', 'latin1'))
  for (const name of ['', 'a..b', `${'x'.repeat(64)}`, `${'abc.'.repeat(70)}d`])
    assert.equal(encodeName(name), undefined, name)
})
