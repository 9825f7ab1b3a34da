/** Bearer tokens (distribution's token authentication), identity tokens, and mirrors, which get neither. */
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { RegistryAuth } from '../../engine/images/image.ts'
import { imageOf, layerOf } from '../registry.ts'
import { type HostileRegistry, refuse, startHostile } from './registry-hostile.ts'
import { openStore, noRoot as skip } from './registry-store.ts'

const auth: RegistryAuth = { username: 'aladdin', password: 'open sesame' }
const basic = `Basic ${Buffer.from('aladdin:open sesame').toString('base64')}`

/** A registry whose realm gives out `token-1`, `token-2`, …; `valid` says which one opens. */
async function startBearer(valid: () => string): Promise<HostileRegistry> {
  const registry = await startHostile()
  registry.add('some/image', '1', imageOf([await layerOf({ a: '1' })]))
  registry.on('/token', (request, response, times) => {
    const known = request.method === 'POST' || request.headers.authorization === basic
    if (!known) return refuse(response, 401, 'UNAUTHORIZED', 'incorrect username or password')
    response.end(JSON.stringify({ token: `token-${times}`, expires_in: 300 }))
    return true
  })
  registry.on('/v2/', (request: IncomingMessage, response: ServerResponse) => {
    if (request.headers.authorization === `Bearer ${valid()}`) return false
    const scope = request.url === '/v2/' ? '' : ',scope="repository:some/image:pull"'
    response.setHeader('www-authenticate', `Bearer realm="${registry.url}token",service="test service"${scope}`)
    return refuse(response, 401, 'UNAUTHORIZED', 'authentication required')
  })
  return registry
}

test('a token is asked for once, for the scope that is needed, with the credentials', { skip }, async () => {
  await using registry = await startBearer(() => 'token-1')
  await using t = await openStore()
  await t.store.pull(`${registry.host}/some/image:1`, { auth })
  await t.store.pull(`${registry.host}/some/image:1`, { auth })
  const tokens = registry.asked.filter(({ path }) => path.startsWith('/token'))
  assert.equal(tokens.length, 1)
  const { searchParams } = new URL(tokens[0]!.path, registry.url)
  assert.deepEqual(Object.fromEntries(searchParams), {
    service: 'test service',
    scope: 'repository:some/image:pull',
    account: 'aladdin',
  })
  assert.equal(tokens[0]!.headers.authorization, basic)
  const others = registry.asked.filter(({ path }) => path.startsWith('/v2/'))
  assert.ok(
    others.every(({ headers }) => headers.authorization !== basic),
    'the password goes to the realm only',
  )
})

test('a token that is no longer good is replaced, once', { skip }, async () => {
  let valid = 'token-1'
  await using registry = await startBearer(() => valid)
  await using t = await openStore()
  await t.store.pull(`${registry.host}/some/image:1`, { auth })
  valid = 'token-2'
  await t.store.pull(`${registry.host}/some/image:1`, { auth })
  assert.equal(registry.count('/token'), 2)
  valid = 'never'
  await assert.rejects(t.store.pull(`${registry.host}/some/image:1`, { auth }), { kind: 'unauthorized' })
  assert.equal(registry.count('/token'), 3)
})

test('tokens of one user are not used for another', { skip }, async () => {
  await using registry = await startBearer(() => 'token-1')
  await using t = await openStore()
  await t.store.pull(`${registry.host}/some/image:1`, { auth })
  await assert.rejects(t.store.pull(`${registry.host}/some/image:1`, {}), {
    kind: 'unauthorized',
    message: `Get "${registry.url}token": unauthorized: incorrect username or password`,
  })
})

test('an identity token is exchanged by POST', { skip }, async () => {
  await using registry = await startBearer(() => 'token-1')
  await using t = await openStore()
  await t.store.pull(`${registry.host}/some/image:1`, { auth: { identitytoken: 'secret' } })
  assert.deepEqual(
    registry.asked.filter(({ path }) => path.startsWith('/token')).map(({ method }) => method),
    ['POST'],
  )
})

test('a registry token is used as it is', { skip }, async () => {
  await using registry = await startBearer(() => 'ready-made')
  await using t = await openStore()
  await t.store.pull(`${registry.host}/some/image:1`, { auth: { registrytoken: 'ready-made' } })
  assert.equal(registry.count('/token'), 0)
})

test('access that a registry denies reads like a repository that is not there', { skip }, async () => {
  await using registry = await startHostile()
  await using t = await openStore()
  registry.on('/manifests/', (_, response) =>
    refuse(response, 403, 'DENIED', 'requested access to the resource is denied'),
  )
  await assert.rejects(t.store.pull(`${registry.host}/x`, {}), {
    kind: 'not-found',
    message:
      `pull access denied for ${registry.host}/x, repository does not exist or may require 'docker login': ` +
      'denied: requested access to the resource is denied',
  })
})

test('a mirror is asked first for docker.io, and gets no credentials', { skip }, async () => {
  await using mirror = await startHostile()
  await using t = await openStore({ registry: { mirrors: [mirror.url] } })
  mirror.add('library/thing', 'latest', imageOf([await layerOf({ a: '1' })]))
  const image = await t.store.pull('thing', { auth, progress: t.progress })
  assert.deepEqual(image.tags, ['thing:latest'])
  assert.deepEqual(t.lines[0], { status: 'Pulling from library/thing', id: 'latest' })
  assert.ok(mirror.asked.every(({ headers }) => headers.authorization === undefined))
})
