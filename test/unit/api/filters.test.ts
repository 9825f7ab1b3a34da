import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Filters } from '../../../engine/api/filters.ts'

test('both wire forms say the same', () => {
  for (const text of ['{"label":["a=b","c"]}', '{"label":{"a=b":true,"c":false}}'])
    assert.deepEqual(Filters.parse(text).get('label'), ['a=b', 'c'])
})

test('what is no filter is refused', () => {
  for (const text of ['{', '[]', '1', 'null', '{"a":1}', '{"a":"b"}', '{"a":[1]}', '{"a":null}'])
    assert.throws(() => Filters.parse(text), { kind: 'invalid', message: 'invalid filter' }, text)
  assert.throws(() => Filters.parse('{"x":["y"]}').only('label'), { message: "invalid filter 'x'" })
})

test('labels: all of them, by key or by key and value; none of the excluded', () => {
  const labels = { a: 'b', c: '', 'x=y': 'z' }
  const matches = (filter: object): boolean => Filters.parse(JSON.stringify(filter)).labels(labels)
  assert.equal(matches({ label: ['a', 'c='] }), true)
  assert.equal(matches({ label: ['a=b', 'nope'] }), false)
  assert.equal(matches({ label: ['a=c'] }), false)
  assert.equal(matches({ 'label!': ['a'] }), false)
  assert.equal(matches({ 'label!': ['nope'] }), true)
  assert.equal(matches({ label: ['toString'] }), false)
})

test('patterns are unanchored; a broken one is compared as it is', () => {
  const matches = (name: string): boolean => Filters.parse(JSON.stringify({ name: [name] })).pattern('name', ['web2'])
  assert.deepEqual(['web', '^web$', 'e.2', 'db', '('].map(matches), [true, false, true, false, false])
  assert.equal(Filters.parse('{"name":["("]}').pattern('name', ['(']), true)
  assert.equal(matches('a'.repeat(300)), false)
})

test('until: seconds, dates and durations', () => {
  const older = (until: string, created: string): boolean =>
    Filters.parse(JSON.stringify({ until: [until] })).olderThanUntil(created)
  assert.equal(older('1700000000', '2020-01-01T00:00:00Z'), true)
  assert.equal(older('1700000000', '2024-01-01T00:00:00Z'), false)
  assert.equal(older('2024-01-02T00:00:00Z', '2024-01-01T00:00:00Z'), true)
  assert.equal(older('1h30m', '2001-01-01T00:00:00Z'), true)
  assert.equal(older('1h', new Date().toISOString()), false)
  assert.throws(() => older('soon', '2024-01-01T00:00:00Z'), { kind: 'invalid' })
})

test('booleans', () => {
  const dangling = (value: string): boolean | undefined => Filters.parse(JSON.stringify({ d: [value] })).boolean('d')
  assert.deepEqual(['true', '1', 'false', '0', 'F'].map(dangling), [true, true, false, false, false])
  assert.throws(() => dangling('perhaps'), { message: "invalid filter 'd=[perhaps]'" })
  assert.equal(Filters.parse('').boolean('d'), undefined)
})
