import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChallenges } from '../../../engine/images/registry-auth.ts'

test('challenges are read in all their forms', () => {
  assert.deepEqual(parseChallenges(undefined), [])
  assert.deepEqual(parseChallenges('Basic realm="a b"'), [{ scheme: 'basic', parameters: { realm: 'a b' } }])
  assert.deepEqual(
    parseChallenges('Bearer realm="https://auth.example/token",service="s",scope="repository:x:pull,push"'),
    [
      {
        scheme: 'bearer',
        parameters: { realm: 'https://auth.example/token', service: 's', scope: 'repository:x:pull,push' },
      },
    ],
  )
  assert.deepEqual(parseChallenges('BEARER Realm = plain , service=s'), [
    { scheme: 'bearer', parameters: { realm: 'plain', service: 's' } },
  ])
  assert.deepEqual(parseChallenges(String.raw`Basic realm="a \"quoted\" word"`)[0]?.parameters.realm, 'a "quoted" word')
})

test('several challenges in one header or in many', () => {
  const both = [
    { scheme: 'basic', parameters: { realm: 'a' } },
    { scheme: 'bearer', parameters: { realm: 'b' } },
  ]
  assert.deepEqual(parseChallenges('Basic realm="a", Bearer realm="b"'), both)
  assert.deepEqual(parseChallenges(['Basic realm="a"', 'Bearer realm="b"']), both)
})

test('nonsense is left out, however long', () => {
  for (const header of ['', '=', ',,,', 'realm="x"', '"', `Basic realm="${'\\'.repeat(100_000)}`, ' '.repeat(100_000)])
    assert.ok(parseChallenges(header).every(({ parameters }) => parameters.realm === undefined))
})
