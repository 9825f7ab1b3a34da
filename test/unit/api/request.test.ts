import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { empty } from '../../../engine/api/answer.ts'
import { splitVersion } from '../../../engine/api/api-version.ts'
import { createContainerBody, createExecBody } from '../../../engine/api/containers.schema.ts'
import { detachKeys } from '../../../engine/api/detach-key-text.ts'
import { check, parseJson } from '../../../engine/api/json-body.ts'
import { cells, flag, flagOn, instant, integer, words } from '../../../engine/api/query.schema.ts'
import { registryAuth } from '../../../engine/api/registry-auth.ts'
import { route } from '../../../engine/api/route.ts'
import { Router } from '../../../engine/api/router.ts'
import { routes } from '../../../engine/api/routes.ts'

const at = (method: 'GET' | 'POST' | 'DELETE', path: string) => route({ method, path, handle: () => empty(200) })

test('names match across slashes, literal paths come first', () => {
  const router = new Router([
    at('GET', '/images/{name}/json'),
    at('GET', '/images/json'),
    at('GET', '/images/{name}/get'),
    at('GET', '/images/get'),
  ])
  const find = (path: string) => {
    const { route: found, params } = router.find('GET', path)
    return [found.path, params.name]
  }
  assert.deepEqual(find('/images/json'), ['/images/json', undefined])
  assert.deepEqual(find('/images/json/json'), ['/images/{name}/json', 'json'])
  assert.deepEqual(find('/images/r.example:5000/a/b:t@sha256:0f/json'), [
    '/images/{name}/json',
    'r.example:5000/a/b:t@sha256:0f',
  ])
  assert.deepEqual(find('/images/a%2Fb/get'), ['/images/{name}/get', 'a/b'])
  assert.deepEqual(find('/images/get'), ['/images/get', undefined])
  assert.throws(() => router.find('GET', '/images/%zz/json'), { kind: 'invalid' })
  assert.throws(() => router.find('POST', '/images/json'), { kind: 'not-found', message: 'page not found' })
  assert.throws(() => router.find('GET', '/IMAGES/json'), { kind: 'not-found' })
})

test('no two routes are the same', () => {
  const all = routes.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`)
  assert.deepEqual(
    all.filter((one, index) => all.indexOf(one) !== index),
    [],
  )
})

test('version prefixes', () => {
  assert.deepEqual(splitVersion('/v1.42/info'), { version: [1, 42], path: '/info' })
  assert.deepEqual(splitVersion('/info'), { version: [1, 51], path: '/info' })
  assert.deepEqual(splitVersion('/volumes/v1'), { version: [1, 51], path: '/volumes/v1' })
  assert.throws(() => splitVersion('/v1.52/info'), { kind: 'invalid' })
  assert.throws(() => splitVersion('/v2/info'), { kind: 'invalid' })
  assert.throws(() => splitVersion('/v1.9/info'), { kind: 'invalid' })
  assert.throws(() => splitVersion('/v1.4.2/info'), { kind: 'invalid' })
})

test('query values', () => {
  for (const value of [undefined, '', '0', 'no', 'False', 'NONE']) assert.equal(flag.parse(value), false, value)
  for (const value of ['1', 'true', 'yes', 'x', ['1', '0']]) assert.equal(flag.parse(value), true, String(value))
  assert.equal(flagOn.parse(undefined), true)
  assert.equal(integer.parse('-1'), -1)
  assert.equal(integer.parse(undefined), undefined)
  assert.equal(integer.safeParse('1.5').success, false)
  assert.equal(cells.parse('80'), 80)
  for (const value of [undefined, '', '-1', '70000', 'x']) assert.equal(cells.safeParse(value).success, false)
  assert.equal(instant.parse('1.5'), 1.5)
  assert.equal(instant.parse('0'), undefined)
  assert.equal(instant.safeParse('now').success, false)
  assert.deepEqual([words.parse(undefined), words.parse('a'), words.parse(['a', 'b'])], [[], ['a'], ['a', 'b']])
})

test('bodies: type, emptiness, trailing text', () => {
  assert.deepEqual(parseJson(undefined, Buffer.alloc(0)), {})
  assert.deepEqual(parseJson('application/json; charset=utf-8', Buffer.from('{"a":1}\n')), { a: 1 })
  assert.throws(() => parseJson(undefined, Buffer.from('{}')), { kind: 'invalid' })
  assert.throws(() => parseJson('application/json', Buffer.from('{}{}')), { message: 'unexpected content after JSON' })
  assert.throws(() => parseJson('application/json', Buffer.from('{"a"')), { message: /^invalid JSON: / })
  assert.throws(() => check(z.object({ a: z.object({ b: z.number() }) }), { a: { b: 'x' } }, 'request body'), {
    message: /^invalid request body a\.b: /,
  })
})

test('create: maps keep their null keys, nulls elsewhere are absent, unknown fields are passed over', () => {
  const parsed = check(
    createContainerBody,
    {
      Image: 'x',
      Cmd: 'one line',
      Entrypoint: null,
      ExposedPorts: { '80/tcp': null },
      Unknown: { a: 1 },
      HostConfig: { PortBindings: { '80/tcp': null }, Memory: null, CapAdd: null },
      NetworkingConfig: { EndpointsConfig: { sea: null, reef: { NetworkID: '', Aliases: ['a'] } } },
    },
    'request body',
  )
  assert.deepEqual(parsed, {
    config: { Image: 'x', Cmd: ['one line'], ExposedPorts: { '80/tcp': {} } },
    hostConfig: { PortBindings: { '80/tcp': null } },
    endpoints: { sea: {}, reef: { Aliases: ['a'] } },
  })
})

test('create: wrong types are refused by name', () => {
  for (const [body, field] of [
    [{ Image: 'x', Env: 'A=b' }, 'Env'],
    [{ Image: 'x', HostConfig: { Memory: '1g' } }, 'HostConfig.Memory'],
    [{ Image: 'x', HostConfig: { Ulimits: [{ Soft: 1 }] } }, 'HostConfig.Ulimits.0.Name'],
    [[], ''],
    ['x', ''],
  ] as const)
    assert.throws(
      () => check(createContainerBody, body, 'request body'),
      (error: Error) => error.message.includes(field),
    )
  assert.throws(() => check(createExecBody, {}, 'request body'), { message: 'No exec command specified' })
})

test('detach keys', () => {
  assert.equal(detachKeys(''), undefined)
  assert.deepEqual(detachKeys('ctrl-p,ctrl-q'), Buffer.from([16, 17]))
  assert.deepEqual(detachKeys('a,ctrl-@,ctrl-_'), Buffer.from([97, 0, 31]))
  for (const text of ['ctrl-', 'ctrl-1', 'ab', 'a,,b', 'é']) assert.throws(() => detachKeys(text), { kind: 'invalid' })
})

test('credentials come in any alphabet; what cannot be read is none', () => {
  const auth = { username: 'ann', password: '~~??>>' }
  const text = JSON.stringify(auth)
  for (const encoding of ['base64', 'base64url'] as const)
    assert.deepEqual(registryAuth(Buffer.from(text).toString(encoding)), auth)
  for (const header of [undefined, '', '!!!', Buffer.from('[]').toString('base64'), ['a', 'b']])
    assert.equal(registryAuth(header), undefined)
})
