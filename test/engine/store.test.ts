/** Images, networks and volumes over the wire, and what Drydock shows beyond Docker's API. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noEngine, rest, TestEngine, unframe } from './engine.ts'

type Named = { Id: string; Name: string }

async function archive(files: Record<string, string>): Promise<Buffer> {
  const tar = pack()
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text)
  tar.finalize()
  return rest(Readable.from(tar))
}

const isMissing = (program: string): string | false =>
  ['bzip2', 'xz'].includes(program) && spawnSync(program, ['--version'], { input: '' }).error !== undefined
    ? `needs ${program}`
    : false

const packedBy =
  (program: string) =>
  (input: Buffer): Buffer =>
    spawnSync(program, ['-c'], { input, maxBuffer: 2 ** 28 }).stdout

describe('the store', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  for (const [form, make] of [
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['bzip2', packedBy('bzip2')],
    ['xz', packedBy('xz')],
  ] as const)
    test(`an archive is imported, ${form}, saved, removed and loaded`, { skip: isMissing(form) }, async () => {
      const body = make(await archive({ greeting: `hello ${form}` }))
      const name = `from-archive-${form}`
      const imported = await engine.call('POST', `/images/create?fromSrc=-&repo=${name}&tag=1&changes=LABEL+a%3Db`, {
        raw: body,
      })
      assert.equal(imported.status, 200)
      assert.match(imported.text, /^\{"status":"sha256:[0-9a-f]{64}"\}\r\n$/)
      const inspected = (await engine.call('GET', `/images/${name}:1/json`)).json<{
        Id: string
        Config: { Labels: object }
      }>()
      assert.deepEqual(inspected.Config.Labels, { a: 'b' })
      const saved = await engine.call('GET', `/images/get?names=${name}:1`)
      assert.equal(saved.headers['content-type'], 'application/x-tar')
      const removed = (await engine.call('DELETE', `/images/${name}:1`)).json<object[]>()
      assert.deepEqual(removed[0], { Untagged: `${name}:1` })
      assert.equal((await engine.call('GET', `/images/${name}:1/json`)).status, 404)
      const loaded = await engine.call('POST', '/images/load?quiet=1', { raw: make(saved.body) })
      assert.match(loaded.text, new RegExp(`Loaded image: ${name}:1`))
      const again = (await engine.call('GET', `/images/${name}:1/json`)).json<{ Id: string }>()
      assert.equal(again.Id, inspected.Id)
      await engine.call('DELETE', `/images/${name}:1`)
    })

  test('what is no archive: an error in the stream or a status, never silence', async () => {
    const loaded = await engine.call('POST', '/images/load', { raw: Buffer.from('this is no archive at all') })
    assert.ok(loaded.status >= 400 || /"errorDetail"/.test(loaded.text), loaded.text)
    const squeezed = await engine.call('POST', '/images/create?fromSrc=-&repo=x', {
      raw: Buffer.from('BZh91AY&SY whatever'),
    })
    assert.equal(squeezed.status, 400)
    assert.match(squeezed.text, /bzip2/)
    assert.equal((await engine.call('POST', '/images/create')).status, 400)
  })

  test('an archive is imported from an address, with progress; what the server says else is told', async () => {
    const body = gzipSync(await archive({ greeting: 'from afar' }))
    const server = createServer((request, response) => {
      if (request.url === '/moved') response.writeHead(302, { location: '/root.tar.gz' }).end()
      else if (request.url === '/root.tar.gz') response.end(body)
      else if (request.url === '/short')
        response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 50), () => response.destroy())
      else response.writeHead(404).end('no\x1b[1m such file')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(server.address() as { port: number }).port}`
    const from = (source: string) =>
      engine.call('POST', `/images/create?fromSrc=${encodeURIComponent(source)}&repo=afar&tag=1&message=`)
    try {
      const { status, text } = await from(`${address}/moved`)
      assert.equal(status, 200)
      const lines = text
        .trim()
        .split('\r\n')
        .map((line) => JSON.parse(line))
      assert.deepEqual(lines[0], { status: `Downloading from ${address}/moved` })
      assert.deepEqual(lines.at(-2), {
        status: 'Importing',
        progressDetail: { current: body.length, total: body.length },
      })
      const image = (await engine.call('GET', '/images/afar:1/json')).json<{ Id: string; Comment: string }>()
      assert.deepEqual([lines.at(-1), image.Comment], [{ status: image.Id }, `Imported from ${address}/moved`])
      await engine.call('DELETE', '/images/afar:1')
      const failed = async (source: string): Promise<string> => {
        const answer = await from(source)
        const last = JSON.parse(answer.text.trim().split('\r\n').at(-1) ?? '')
        return `${answer.status} ${last.errorDetail?.message ?? last.message}`
      }
      assert.equal(
        await failed(`${address}/none`),
        `404 failed to GET ${address}/none with status 404: no [1m such file`,
      )
      assert.match(await failed(`${address}/short`), /^200 .*(unexpected EOF|aborted|terminated|closed)/)
      assert.match(
        await failed('http://127.0.0.1:1/x'),
        /^503 Get "http:\/\/127.0.0.1:1\/x": dial tcp .*connection refused/,
      )
      assert.match(await failed('file:///etc/passwd'), /^400 cannot import from "file:\/\/\/etc\/passwd"/)
      assert.equal((await engine.call('GET', '/images/afar:1/json')).status, 404)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('a client that goes amid an upload leaves no image', async () => {
    const count = (await engine.call('GET', '/images/json')).json<object[]>().length
    const socket = await engine.wire()
    socket.write('POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\npart of it')
    socket.destroy()
    assert.equal((await engine.call('GET', '/images/json')).json<object[]>().length, count)
  })

  test('image filters, by reference and label', async () => {
    const ask = async (filters: object): Promise<number> =>
      (await engine.call('GET', `/images/json?filters=${encodeURIComponent(JSON.stringify(filters))}`)).json<object[]>()
        .length
    assert.equal(await ask({ reference: ['host'] }), 1)
    assert.equal(await ask({ reference: { 'ho*': true } }), 1)
    assert.equal(await ask({ reference: ['other'] }), 0)
    assert.equal(await ask({ dangling: ['true'] }), 0)
  })

  test('networks: made, listed, refused twice, pruned; predefined ones stay', { skip: noPacketFilter }, async () => {
    const made = await engine.call('POST', '/networks/create', { body: { Name: 'reef', Labels: { a: 'b' } } })
    assert.equal(made.status, 201)
    const twice = await engine.call('POST', '/networks/create', { body: { Name: 'reef' } })
    assert.deepEqual([twice.status, twice.json().message], [409, 'network with name reef already exists'])
    const list = (await engine.call('GET', '/networks')).json<Named[]>().map(({ Name }) => Name)
    assert.deepEqual(list.toSorted(), ['bridge', 'host', 'none', 'reef'])
    assert.deepEqual((await engine.call('GET', '/networks/')).json<Named[]>().length, 4)
    assert.equal((await engine.call('DELETE', '/networks/bridge')).status, 403)
    const preview = await engine.call('POST', '/drydock/prune/preview', { body: { Networks: true } })
    assert.deepEqual(
      preview.json<{ Networks: Named[] }>().Networks.map(({ Name }) => Name),
      ['reef'],
    )
    assert.deepEqual((await engine.call('POST', '/networks/prune')).json(), { NetworksDeleted: ['reef'] })
    assert.deepEqual((await engine.call('POST', '/networks/prune')).json(), { NetworksDeleted: null })
    assert.equal((await engine.call('POST', '/networks/nope/connect', { body: { Container: 'x' } })).status, 404)
  })

  test('a network that is a configuration, and others that have it', { skip: noPacketFilter }, async () => {
    const IPAM = { Config: [{ Subnet: '10.88.0.0/24' }] }
    const create = async (Name: string, more: object): Promise<string> => {
      const { status, text } = await engine.call('POST', '/networks/create', { body: { Name, ...more } })
      return status === 201 ? '201' : `${status} ${JSON.parse(text).message}`
    }
    const from = (Network: string) => ({ ConfigFrom: { Network } })
    assert.equal(
      await create('plan', { ConfigOnly: true, IPAM, Options: { 'com.docker.network.driver.mtu': '1400' } }),
      '201',
    )
    type Shown = { Driver: string; ConfigOnly: boolean; ConfigFrom: { Network: string }; IPAM: object; Options: object }
    const show = async (name: string) => (await engine.call('GET', `/networks/${name}`)).json<Shown>()
    const plan = await show('plan')
    assert.deepEqual(
      [plan.Driver, plan.ConfigOnly, plan.IPAM],
      ['null', true, { Driver: 'default', Options: {}, ...IPAM }],
    )
    assert.match(await create('x', from('nothing')), /^404 configuration network "nothing" does not exist/)
    assert.match(await create('x', from('bridge')), /^404 configuration network "bridge" does not exist/)
    assert.match(await create('x', { ...from('plan'), IPAM }), /^403 user specified configurations are not supported/)
    assert.match(await create('x', { ...from('plan'), Options: { a: 'b' } }), /^403 network driver options are not/)
    assert.match(await create('x', { ConfigOnly: true, ...from('plan') }), /^403 a configuration network cannot depend/)
    assert.match(await create('x', { ConfigOnly: true, Internal: true }), /^403 configuration network can only contain/)
    assert.equal(await create('made', { Internal: true, ...from('plan') }), '201')
    const made = await show('made')
    assert.deepEqual(
      [made.Driver, made.ConfigFrom.Network, made.IPAM, made.Options],
      [
        'bridge',
        'plan',
        { Driver: 'default', Options: {}, Config: [{ Subnet: '10.88.0.0/24', Gateway: '10.88.0.1' }] },
        plan.Options,
      ],
    )
    const used = await engine.call('DELETE', '/networks/plan')
    assert.deepEqual([used.status, used.json().message], [403, 'configuration network "plan" is in use'])
    await engine.call('POST', '/containers/create?name=on', {
      body: { Image: 'host', HostConfig: { NetworkMode: 'plan' } },
    })
    assert.match((await engine.call('POST', '/containers/on/start')).text, /plan is a configuration network/)
    assert.equal((await engine.call('DELETE', '/containers/on')).status, 204)
    for (const name of ['made', 'plan']) assert.equal((await engine.call('DELETE', `/networks/${name}`)).status, 204)
  })

  test('volumes: made once, pruned only when asked for by name', async () => {
    const made = await engine.call('POST', '/volumes/create', { body: { Name: 'chest', Labels: { a: 'b' } } })
    assert.equal(made.status, 201)
    assert.equal((await engine.call('POST', '/volumes/create', { body: { Name: 'chest' } })).status, 201)
    assert.deepEqual((await engine.call('POST', '/volumes/prune')).json(), { VolumesDeleted: null, SpaceReclaimed: 0 })
    const all = encodeURIComponent('{"all":["true"]}')
    assert.deepEqual((await engine.call('POST', `/volumes/prune?filters=${all}`)).json().VolumesDeleted, ['chest'])
    const missing = await engine.call('GET', '/volumes/chest')
    assert.deepEqual([missing.status, missing.json().message], [404, 'get chest: no such volume'])
  })

  test('namespaces, groups, limits and trace of a container', async () => {
    const id = await engine.run('open', ['sleep', '600'])
    const mine = (await engine.call('GET', '/drydock/containers/open/namespaces')).json<{
      Namespaces: { Type: string; Host: boolean; Members: { ContainerName: string | null }[] }[]
    }>()
    const own = mine.Namespaces.filter(({ Host }) => !Host).map(({ Type }) => Type)
    for (const type of ['ipc', 'mnt', 'net', 'pid', 'uts']) assert.ok(own.includes(type), `${type} in ${own.join()}`)
    assert.ok(mine.Namespaces.every(({ Members }) => Members.some(({ ContainerName }) => ContainerName === 'open')))
    const tree = (await engine.call('GET', '/drydock/cgroups')).text
    assert.match(tree, new RegExp(`"ContainerId":"${id}","ContainerName":"open"`))
    const limits = (await engine.call('GET', '/drydock/containers/open/limits')).json<{
      Pids: { Current: number }
      Memory: { Usage: number; Limit: number | null }
    }>()
    assert.equal(limits.Pids.Current, 1)
    assert.ok(limits.Memory.Usage > 0)
    const trace = (await engine.call('GET', '/drydock/containers/open/trace')).json<{
      Spans: { Layer: string; Start: number; End: number }[]
    }>()
    assert.equal(trace.Spans[0]?.Layer, 'api')
    assert.ok(trace.Spans.some(({ Layer }) => Layer === 'runtime'))
    assert.ok(trace.Spans.every(({ Start, End }) => Start <= End))
    assert.equal((await engine.call('GET', '/containers/open/stats?stream=0&one-shot=1')).json<{ id: string }>().id, id)
    assert.equal((await engine.call('GET', '/containers/open/stats?stream=1&one-shot=1')).status, 400)
    await engine.call('DELETE', '/containers/open?force=1')
    assert.equal((await engine.call('GET', '/drydock/containers/open/limits')).status, 404)
  })

  test('dial: a connection into the container; nothing listening is a 409', async () => {
    await engine.run('served', ['python3', '-m', 'http.server', '8000', '--bind', '127.0.0.1'])
    const dial = async (port: string): Promise<string> => {
      const socket = await engine.wire()
      socket.write(
        `POST /drydock/containers/served/dial?port=${port} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
      )
      socket.write('GET /etc/hostname HTTP/1.0\r\n\r\n')
      return (await rest(socket)).toString('latin1')
    }
    let answer = await dial('8000')
    while (answer.startsWith('HTTP/1.1 409 ')) answer = await dial('8000')
    assert.match(answer, /^HTTP\/1\.1 101 UPGRADED\r\n[\s\S]*\r\n\r\nHTTP\/1\.0 200 OK/)
    assert.match(await dial('8001'), /^HTTP\/1\.1 409 /)
    assert.match(await dial('x'), /^HTTP\/1\.1 400 [\s\S]*invalid port/)
    await engine.call('DELETE', '/containers/served?force=1')
  })

  test('commit keeps files and the changed configuration', async () => {
    await engine.run('author', ['sh', '-c', 'echo written > /root/page; exec sleep 600'])
    while ((await engine.call('HEAD', '/containers/author/archive?path=/root/page')).status !== 200);
    const made = await engine.call(
      'POST',
      '/commit?container=author&repo=book&tag=1&changes=CMD+%5B%22cat%22%2C%22%2Froot%2Fpage%22%5D',
    )
    assert.equal(made.status, 201, made.text)
    await engine.call('DELETE', '/containers/author?force=1')
    await engine.run('reader', [], { Image: 'book:1' })
    const read = await engine.call('GET', '/containers/reader/logs?stdout=1&follow=1')
    assert.equal(unframe(read.body).stdout, 'written\n')
    await engine.call('DELETE', '/containers/reader?force=1')
    assert.equal((await engine.call('DELETE', '/images/book:1')).status, 200)
    const wrong = await engine.call('POST', '/commit?container=author&repo=book')
    assert.equal(wrong.status, 404)
  })

  test('system df counts', async () => {
    const usage = (await engine.call('GET', '/system/df')).json<{ Images: object[]; BuildCache: object[] }>()
    assert.equal(usage.Images.length, 1)
    assert.deepEqual(usage.BuildCache, [])
  })

  test('system df counts a layer once that two images share', async () => {
    const archive = ['tar', '-C', '/etc', '-c', 'hostname', 'passwd']
    const { stdout } = spawnSync(archive[0]!, archive.slice(1))
    await engine.call('POST', '/images/create?fromSrc=-&repo=base&tag=1', { raw: stdout })
    const body = { Image: 'base:1', Cmd: ['x'], Labels: { second: 'yes' } }
    const { Id } = (await engine.call('POST', '/containers/create', { body })).json<{ Id: string }>()
    await engine.call('PUT', `/containers/${Id}/archive?path=/`, { raw: stdout })
    assert.equal((await engine.call('POST', `/commit?container=${Id}&repo=more&tag=1`)).status, 201)
    type Usage = { LayersSize: number; Images: { RepoTags: string[]; Size: number; SharedSize: number }[] }
    const usage = (await engine.call('GET', '/system/df?type=image')).json<Usage>()
    const of = (tag: string) => usage.Images.find(({ RepoTags }) => RepoTags.includes(tag))!
    assert.ok(of('base:1').Size > 0)
    assert.equal(of('base:1').SharedSize, of('base:1').Size)
    assert.equal(of('more:1').SharedSize, of('base:1').Size)
    assert.equal(usage.LayersSize, of('more:1').Size + of('host:latest').Size)
    const listed = (await engine.call('GET', '/images/json?shared-size=1')).json<Usage['Images']>()
    assert.equal(listed.find(({ RepoTags }) => RepoTags.includes('more:1'))?.SharedSize, of('base:1').Size)
    await engine.call('DELETE', `/containers/${Id}`)
    for (const tag of ['more:1', 'base:1']) await engine.call('DELETE', `/images/${tag}`)
  })
})
