import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container } from '../../../engine/lifecycle/container.ts'
import { checkLog, logAttributes, logLimits } from '../../../engine/lifecycle/log-config.ts'

test('drivers, and the options that each knows', () => {
  for (const good of [
    undefined,
    { Type: 'local' },
    { Type: 'local', Config: { 'max-size': '1m', 'max-file': '3', compress: 'false', mode: 'blocking' } },
    { Type: 'json-file', Config: { tag: '{{.Name}}/{{ .ID }}', labels: 'a,b', 'env-regex': '^X_' } },
    { Type: 'none', Config: { anything: 'goes' } },
  ])
    checkLog(good)
  const refused: [object, RegExp][] = [
    [{ Type: 'syslog' }, /no log driver named 'syslog' is registered/],
    [{ Config: { 'max-sizes': '1m' } }, /unknown log opt 'max-sizes' for json-file log driver/],
    [{ Type: 'local', Config: { tag: 'x' } }, /unknown log opt 'tag' for local log driver/],
    [{ Config: { compress: 'true' } }, /rotated log files stay as they are/],
    [{ Config: { compress: 'perhaps' } }, /neither true nor false/],
    [{ Config: { mode: 'non-blocking' } }, /logging mode not supported: non-blocking/],
    [{ Config: { 'labels-regex': '(' } }, /labels-regex: "\(" is not a regular expression/],
    [{ Config: { tag: '{{.Nothing}}' } }, /tag: \{\{\.Nothing\}\} is none of/],
    [{ Config: { 'max-file': '3' } }, /max-size must be set/],
  ]
  for (const [log, message] of refused) assert.throws(() => checkLog(log), message)
})

test('local is rotated also when nobody says so', () => {
  assert.deepEqual(logLimits({ Type: 'local' }), { maxSize: 20 * 1024 ** 2, maxFile: 5 })
  assert.deepEqual(logLimits({ Type: 'json-file' }), { maxSize: -1, maxFile: 1 })
})

test('labels, variables and the tag go with each line', () => {
  const container = (Config: Record<string, string>) =>
    ({
      id: 'f'.repeat(64),
      name: 'walk',
      imageId: `sha256:${'e'.repeat(64)}`,
      config: { Image: 'host', Labels: { tier: 'web', other: 'x' }, Env: ['X_ONE=1', 'X_TWO=a=b', 'Y=3'] },
      hostConfig: { LogConfig: { Type: 'json-file', Config } },
    }) as unknown as Container
  assert.equal(logAttributes(container({})), undefined)
  assert.deepEqual(logAttributes(container({ labels: 'tier,none', 'env-regex': '^X_', tag: '{{.Name}}-{{.ID}}' })), {
    tier: 'web',
    X_ONE: '1',
    X_TWO: 'a=b',
    tag: 'walk-ffffffffffff',
  })
})
