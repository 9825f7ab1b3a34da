/** `docker search`: an index on loopback, and what an index can do wrong. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { noEngine, TestEngine } from './engine.ts'
import { type HostileRegistry, startHostile, startIndex } from './registry-hostile.ts'

const results = [
  { name: 'library/sea', description: 'two\nlines', star_count: 7, is_official: true, is_automated: true },
  { name: 'team/lake', description: null, star_count: 40, pull_count: 3 },
  { name: 'team/pond' },
]

describe('search', { skip: noEngine }, () => {
  let engine: TestEngine
  let index: HostileRegistry
  before(async () => {
    engine = await TestEngine.start()
    index = await startIndex(results)
  })
  after(async () => {
    await index?.[Symbol.asyncDispose]()
    await engine?.[Symbol.asyncDispose]()
  })

  const found = async (query: string): Promise<string[]> =>
    (await engine.call('GET', `/images/search?${query}`)).json<{ name: string }[]>().map(({ name }) => name)
  const filters = (value: object): string => `&filters=${encodeURIComponent(JSON.stringify(value))}`
  async function refused(query: string): Promise<string> {
    const { status, text } = await engine.call('GET', `/images/search?${query}`)
    return `${status} ${JSON.parse(text).message}`
  }

  test('what the index finds, in its order, with the fields that clients read', async () => {
    const answer = await engine.call('GET', `/images/search?term=${index.host}/water%26more&limit=3`)
    assert.deepEqual(answer.json<unknown>(), [
      { star_count: 7, is_official: true, name: 'library/sea', is_automated: false, description: 'two\nlines' },
      { star_count: 40, is_official: false, name: 'team/lake', is_automated: false, description: '' },
      { star_count: 0, is_official: false, name: 'team/pond', is_automated: false, description: '' },
    ])
    const asked = index.asked.at(-1)
    assert.equal(asked?.path, '/v1/search?q=water%26more&n=3')
    assert.equal(asked?.headers.authorization, undefined)
  })

  test('credentials go to the index', async () => {
    const auth = Buffer.from(JSON.stringify({ username: 'aladdin', password: 'open sesame' })).toString('base64url')
    await engine.call('GET', `/images/search?term=${index.host}/x`, { headers: { 'X-Registry-Auth': auth } })
    assert.equal(index.asked.at(-1)?.headers.authorization, `Basic ${btoa('aladdin:open sesame')}`)
    assert.equal(index.asked.at(-1)?.path, '/v1/search?q=x&n=25')
  })

  test('filters and limits', async () => {
    const term = `term=${index.host}/x`
    assert.deepEqual(await found(`${term}${filters({ stars: ['7'] })}`), ['library/sea', 'team/lake'])
    assert.deepEqual(await found(`${term}${filters({ 'is-official': { true: true } })}`), ['library/sea'])
    assert.deepEqual(await found(`${term}${filters({ 'is-official': ['false'] })}`), ['team/lake', 'team/pond'])
    assert.deepEqual(await found(`${term}${filters({ 'is-automated': ['true'] })}`), [])
    assert.equal(await refused(`${term}${filters({ stars: ['many'] })}`), "400 invalid filter 'stars=[many]'")
    assert.equal(await refused(`${term}${filters({ size: ['1'] })}`), "400 invalid filter 'size'")
    for (const limit of [-1, 101])
      assert.equal(await refused(`${term}&limit=${limit}`), `400 limit ${limit} is outside the range of [1, 100]`)
  })

  test('an index that is not there, refuses, or talks nonsense', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    assert.equal(
      await refused(`term=127.0.0.1:${port}/x`),
      `500 Get "http://127.0.0.1:${port}/v1/search?q=x&n=25": dial tcp 127.0.0.1:${port}: connect: connection refused`,
    )
    await using bad = await startHostile()
    assert.equal(await refused(`term=${bad.host}/x`), '500 Unexpected status code 404')
    bad.on('q=html', (_request, response) => void response.end('<html>'))
    bad.on('q=deep', (_request, response) => void response.end('['.repeat(100_000)))
    bad.on('q=shape', (_request, response) => void response.end('{"results":[{"name":7}]}'))
    bad.on('q=endless', (_request, response) => void response.end(`{"results":"${'x'.repeat(5 << 20)}"}`))
    assert.match(await refused(`term=${bad.host}/html`), /is not JSON$/)
    assert.match(await refused(`term=${bad.host}/deep`), /nested more than 64 levels deep/)
    assert.match(await refused(`term=${bad.host}/shape`), /^500 error decoding registry search results/)
    assert.match(await refused(`term=${bad.host}/endless`), /larger than 4194304 bytes/)
    assert.match(await refused('term=http://x/y'), /^400 invalid repository name/)
    assert.match(await refused(`term=${encodeURIComponent('a.b@c d:1/x')}`), /^(400|500) /)
  })
})
