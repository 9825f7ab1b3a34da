import assert from 'node:assert/strict'
import { test } from 'node:test'
import { containerDeviceRules, plainRule } from '../../../engine/cgroup/device-rules.ts'
import { deviceWritesV1 } from '../../../engine/cgroup/v1-devices.ts'
import { defaultDeviceRules } from '../../../engine/spec/defaults.table.ts'

const texts = (rules: Parameters<typeof deviceWritesV1>[0]): string[] =>
  deviceWritesV1(rules).map(([file, text]) => `${file} ${text}`)

test('numbers of -1 and empty words are absent', () => {
  assert.deepEqual(plainRule({ allow: true, type: 'c', major: -1, minor: -1, access: '' }), { allow: true, type: 'c' })
  assert.deepEqual(plainRule({ allow: false, type: '' as never }), { allow: false })
})

test('without a word everything but the default devices is denied', () => {
  const writes = texts(containerDeviceRules(undefined))
  assert.equal(writes[0], 'devices.deny a')
  assert.ok(writes.includes('devices.allow c 1:3 rwm'))
  assert.ok(writes.includes('devices.allow b *:* m'))
  assert.deepEqual(texts(containerDeviceRules([{ allow: false, access: 'rwm' }])), writes)
})

test('what is asked for comes with the default devices', () => {
  const writes = texts(containerDeviceRules([{ allow: true, type: 'c', major: 10, minor: 229, access: 'rw' }]))
  assert.ok(writes.includes('devices.allow c 10:229 rw'))
  assert.ok(writes.includes('devices.allow c 1:5 rwm'))
})

test('where everything is allowed nothing is added, and an exception stays one', () => {
  const rules = containerDeviceRules([{ allow: true }, { allow: false, type: 'b', major: 8 }])
  assert.deepEqual(texts(rules), ['devices.allow a', 'devices.deny b 8:* rwm'])
})

test('rules that are there are not doubled', () => {
  assert.equal(containerDeviceRules(defaultDeviceRules).length, defaultDeviceRules.length + 1)
})
