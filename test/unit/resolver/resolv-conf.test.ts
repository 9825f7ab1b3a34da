import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numericOption, parseResolvConf } from '../../../engine/resolver/resolv-conf.ts'

test('resolv.conf(5): comments and the last search or domain', () => {
  assert.deepEqual(parseResolvConf('; x\nsearch a\ndomain b # c\n  nameserver\t1.1.1.1  \nnameserver\n'), {
    servers: ['1.1.1.1'],
    search: ['b'],
    options: [],
  })
})

test('numbers in options: the last one counts, what is no number is none', () => {
  assert.equal(numericOption(['ndots:1', 'rotate', 'ndots:3'], 'ndots'), 3)
  assert.equal(numericOption(['ndots:x'], 'ndots'), undefined)
  assert.equal(numericOption(['timeouts:3'], 'timeout'), undefined)
})
