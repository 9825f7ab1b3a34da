import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointsOf, registryDefaults } from '../../../engine/images/registry-config.ts'

const bases = (domain: string, insecure: string[] = []): string[] =>
  endpointsOf({ domain }, { ...registryDefaults, insecure }, true).flatMap((endpoint) => endpoint.bases)

test('plain HTTP only where it cannot be overheard, or was allowed', () => {
  assert.deepEqual(bases('ghcr.io'), ['https://ghcr.io/'])
  assert.deepEqual(bases('registry.example:5000'), ['https://registry.example:5000/'])
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1:5000', '127.8.8.8', '[::1]:5000'])
    assert.deepEqual(bases(host), [`https://${host}/`, `http://${host}/`])
  assert.equal(bases('10.1.2.3:5000').length, 1)
  assert.equal(bases('10.1.2.3:5000', ['10.0.0.0/8']).length, 2)
  assert.equal(bases('registry.example:5000', ['registry.example:5000']).length, 2)
  assert.equal(bases('registry.example:5001', ['registry.example:5000']).length, 1)
  assert.equal(bases('registry.example:5001', ['registry.example']).length, 2)
  assert.equal(bases('127.0.0.1.evil.example').length, 1)
  assert.equal(bases('localhost.evil.example').length, 1)
})

test('docker.io is served elsewhere, by mirrors first, and never pushed to them', () => {
  const config = { ...registryDefaults, mirrors: ['https://mirror.example/hub'] }
  const pull = endpointsOf({ domain: 'docker.io' }, config, true)
  assert.deepEqual(
    pull.map((endpoint) => [endpoint.bases[0], endpoint.mirror]),
    [
      ['https://mirror.example/hub/', true],
      ['https://registry-1.docker.io/', false],
    ],
  )
  const push = endpointsOf({ domain: 'docker.io' }, config, false)
  assert.deepEqual(
    push.flatMap((endpoint) => endpoint.bases),
    ['https://registry-1.docker.io/'],
  )
  assert.equal(endpointsOf({ domain: 'ghcr.io' }, config, true).length, 1)
})
