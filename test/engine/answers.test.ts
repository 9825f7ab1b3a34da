/**
 * Every route of the API that has a description in ../shapes, once at least, with answers held to it; and the rules
 * that many routes share: filters in both forms, beginnings of ids, times, platforms.
 */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, inflateRawSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { imageOf, layerOf, noRegistry, putImage, type Registry, startRegistry } from '../registry.ts'
import { described } from '../shapes/answers.ts'
import { pathStat } from '../shapes/container.shapes.ts'
import { noEngine, rest, TestEngine } from './engine.ts'
import { startIndex } from './registry-hostile.ts'

type Named = { Id: string; Names: string[] }

const filter = (value: object): string => `filters=${encodeURIComponent(JSON.stringify(value))}`

async function tarOf(files: Record<string, string>): Promise<Buffer> {
  const tar = pack()
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text)
  tar.finalize()
  return rest(Readable.from(tar))
}

describe('answers', { skip: noEngine || noRegistry }, () => {
  let engine: TestEngine
  let registry: Registry
  before(async () => {
    registry = await startRegistry()
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })

  /** Fails where the answer is none of success; `call` itself holds it to its description. */
  async function ask<T = unknown>(method: string, path: string, body?: object | Buffer): Promise<T> {
    const given = body === undefined ? {} : Buffer.isBuffer(body) ? { raw: body } : { body }
    const answer = await engine.call(method, path, given)
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
    return (
      answer.headers['content-type'] === 'application/json' && answer.text.endsWith('}\n')
        ? JSON.parse(answer.text.split('\n')[0] ?? '')
        : answer
    ) as T
  }
  const list = async (query: object, more = 'all=1'): Promise<string[]> =>
    (await engine.call('GET', `/containers/json?${more}&${filter(query)}`))
      .json<Named[]>()
      .map(({ Names }) => Names[0]?.slice(1) ?? '')
  const refused = async (status: number, method: string, path: string, sentence: RegExp): Promise<void> => {
    const answer = await engine.call(method, path)
    assert.deepEqual([answer.status, sentence.test(answer.text)], [status, true], answer.text)
  }

  test('the engine itself', async () => {
    await ask('HEAD', '/_ping')
    await ask('GET', '/_ping')
    for (const version of ['', '/v1.24', '/v1.51']) await ask('GET', `${version}/version`)
    await ask('GET', '/info')
    await ask('GET', '/plugins')
    assert.equal((await engine.call('OPTIONS', '/containers/json')).status, 200)
    for (const path of ['/swarm', '/nodes', '/services/x', '/tasks/x/logs', '/secrets', '/configs'])
      await refused(503, 'GET', path, /This node is not a swarm manager/)
    await refused(503, 'PUT', '/volumes/x?version=1', /not a swarm manager/)
    await refused(404, 'GET', '/plugins/x/json', /plugin \\"x\\" not found/)
    await refused(501, 'GET', '/containers/x/checkpoints', /experimental/)
  })

  test('a container, asked everything', async () => {
    const labels = { a: 'b', number: '1' }
    await engine.run('one', ['sh', '-c', 'echo said; touch /srv/new; exec sleep 600'], {
      Labels: labels,
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        NetworkMode: 'none',
        Ulimits: [{ Name: 'nofile', Soft: 64, Hard: 128 }],
        Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/nothing', CgroupPermissions: 'r' }],
        ExtraHosts: ['ship:10.0.0.1'],
        Annotations: { 'org.example': 'x' },
        Tmpfs: { '/t': '' },
        Sysctls: { 'net.ipv4.ip_forward': '0' },
      },
    })
    const shell = 'ulimit -Sn; ulimit -Hn; stat -c %t:%T /dev/nothing; grep ship /etc/hosts'
    const { Id: exec } = await ask<{ Id: string }>('POST', '/containers/one/exec', {
      Cmd: ['sh', '-c', shell],
      AttachStdout: true,
    })
    const started = await engine.call('POST', `/exec/${exec}/start`, { body: { Tty: true } })
    assert.equal(started.text, '64\n128\n1:3\n10.0.0.1\tship\n')
    await ask('GET', `/exec/${exec}/json`)
    await ask('GET', '/containers/one/json?size=1')
    await ask('GET', '/containers/json?size=1')
    await ask('GET', '/containers/one/top')
    await ask('GET', '/containers/one/logs?stdout=1&timestamps=1')
    await ask('GET', '/containers/one/stats?stream=0')
    await ask('GET', '/containers/one/changes')
    const seen = await ask<{ headers: Record<string, string> }>('HEAD', '/containers/one/archive?path=/srv')
    const header = Buffer.from(seen.headers['x-docker-container-path-stat'] ?? '', 'base64').toString()
    assert.equal(pathStat.parse(JSON.parse(header)).mode >= 2 ** 31, true)
    const plain = await ask<{ body: Buffer }>('GET', '/containers/one/archive?path=/srv/new')
    for (const [coding, unpack] of [
      ['gzip', gunzipSync],
      ['deflate', inflateRawSync],
    ] as const) {
      const headers = { 'Accept-Encoding': coding }
      const packed = await engine.call('GET', '/containers/one/archive?path=/srv/new', { headers })
      assert.equal(packed.headers['content-encoding'], coding)
      assert.ok(unpack(packed.body).equals(plain.body))
    }
    await ask('PUT', '/containers/one/archive?path=/srv', await tarOf({ put: 'x' }))
    for (const verb of ['pause', 'unpause']) await ask('POST', `/containers/one/${verb}`)
    await ask('POST', '/containers/one/update', { Memory: 67108864, RestartPolicy: { Name: 'on-failure' } })
    await ask('POST', '/containers/one/rename?name=first')
    await ask('POST', '/containers/first/kill?signal=winch')
    await ask('POST', '/containers/first/restart?t=0')
    await ask('POST', '/containers/first/stop?t=0')
    await ask('POST', '/containers/first/wait')
    await ask('POST', '/containers/first/start')
    const terminal = { Tty: true, HostConfig: { NetworkMode: 'none' } }
    await engine.run('terminal', ['sleep', '600'], terminal)
    await ask('POST', '/containers/terminal/resize?h=10&w=20')
    const { Id: shellExec } = await ask<{ Id: string }>('POST', '/containers/terminal/exec', {
      Cmd: ['sleep', '60'],
      Tty: true,
    })
    await ask('POST', `/exec/${shellExec}/start`, { Detach: true, Tty: true })
    await ask('POST', `/exec/${shellExec}/resize?h=10&w=20`)
    await ask('DELETE', '/containers/terminal?force=1')
  })

  test('lists: filters in both forms, beginnings of ids, what is unknown', async () => {
    const created = await ask<{ Id: string }>('POST', '/containers/create?name=second', {
      Image: 'host',
      Labels: { a: 'c' },
      ExposedPorts: { '81/udp': {} },
      HostConfig: { Binds: ['kept:/kept'] },
    })
    const bridge = (await engine.call('GET', '/networks/bridge')).json<{ Id: string }>().Id
    for (const [query, names] of [
      [{ label: { 'a=b': true } }, ['first']],
      [{ label: ['a'] }, ['second', 'first']],
      [{ label: ['a', 'number=1'] }, ['first']],
      [{ label: { a: false } }, ['second', 'first']],
      [{ name: ['^/sec'] }, ['second']],
      [{ id: [created.Id.slice(0, 10)] }, ['second']],
      [{ status: ['created', 'paused'] }, ['second']],
      [{ ancestor: ['host:latest'], status: ['running'] }, ['first']],
      [{ volume: ['kept'] }, ['second']],
      [{ network: [bridge.slice(0, 12)] }, ['second']],
      [{ network: ['none'] }, ['first']],
      [{ expose: ['80-82/udp'] }, ['second']],
      [{ before: ['second'] }, ['first']],
      [{ since: ['first'] }, ['second']],
      [{ 'is-task': ['false'], isolation: ['default'] }, ['second', 'first']],
    ] as const)
      assert.deepEqual(await list(query), names, JSON.stringify(query))
    assert.deepEqual(await list({}, 'limit=1'), ['second'])
    assert.deepEqual(await list({}, ''), ['first'])
    assert.equal((await ask<{ Id: string }>('GET', `/containers/${created.Id.slice(0, 6)}/json`)).Id, created.Id)
    for (const path of ['/containers/json', '/images/json', '/networks', '/volumes', '/events']) {
      await refused(400, 'GET', `${path}?filters=nonsense`, /invalid filter/)
      await refused(400, 'GET', `${path}?${filter({ colour: ['red'] })}`, /invalid filter 'colour'/)
    }
    await refused(400, 'GET', `/containers/json?${filter({ status: ['asleep'] })}`, /invalid filter 'status=asleep'/)
  })

  test('images: from a registry and back, committed, saved together, for a platform', async () => {
    const repository = `${registry.host}/team/app`
    const made = imageOf([await layerOf({ base: 'x'.repeat(5000) })], { created: '2020-01-02T03:04:05Z' })
    await putImage(registry.url, 'team/app', '1', made)
    const at = (name: string): string => `/images/${name}`
    await ask('POST', '/auth', { username: 'u', password: 'p', serveraddress: registry.host })
    const remote = await ask<{ Descriptor: { digest: string }; Platforms: object[] }>(
      'GET',
      `/distribution/${repository}:1/json`,
    )
    assert.deepEqual(
      [remote.Descriptor.digest, remote.Platforms],
      [made.digest, [{ architecture: 'amd64', os: 'linux' }]],
    )
    await refused(404, 'GET', `/distribution/${repository}:none/json`, /manifest for .* not found/)
    await using index = await startIndex([{ name: 'team/app' }])
    await ask('GET', `/images/search?term=${index.host}/app`)
    await ask('POST', `/images/create?fromImage=${repository}&tag=1`)
    const committed = await ask<{ Id: string }>('POST', `/commit?container=first&repo=kept&changes=ENV+a%3Db&author=me`)
    const { Config } = await ask<{ Config: { Env: string[] } }>('GET', at('kept/json'))
    assert.ok(Config.Env.includes('a=b'))
    await ask('POST', `/images/create?fromSrc=-&repo=flat&changes=CMD+true&message=m`, await tarOf({ file: 'y' }))
    await ask('POST', at('flat/tag?repo=other&tag=2'))
    // Not of `one`: that would be all of this machine's programs.
    await ask('POST', '/containers/create?name=flat', { Image: 'flat' })
    await ask('GET', '/containers/flat/export')
    // There before the first start, though the image has no such file.
    await ask('GET', '/containers/flat/archive?path=/etc/resolv.conf')
    await ask('DELETE', '/containers/flat')
    for (const query of ['', '?manifests=1&shared-size=1', `?${filter({ reference: { 'fl*': true } })}`])
      await ask('GET', `/images/json${query}`)
    const { Manifests } = await ask<{ Manifests: object[] }>('GET', at(`${repository}:1/json?manifests=1`))
    assert.equal(Manifests.length, 1)
    await ask('GET', at('flat/history'))
    const arm = encodeURIComponent('{"os":"linux","architecture":"arm64"}')
    for (const path of ['flat/json', 'flat/history', 'flat/get'])
      await refused(404, 'GET', at(`${path}?platform=${arm}`), /does not provide the specified platform/)
    await refused(400, 'GET', at('flat/json?platform=linux'), /invalid platform/)
    const saved = await engine.call('GET', `/images/get?names=flat&names=${repository}:1&names=other:2`)
    await ask('GET', at(`${repository}:1/get`))
    for (const name of ['flat', 'other:2', `${repository}:1`]) await ask('DELETE', at(name))
    const wrong = await engine.call('POST', `/images/load?platform=${arm}`, { raw: saved.body })
    assert.match(wrong.text, /the archive has an image for linux\/amd64, not for linux\/arm64/)
    const loaded = await engine.call('POST', '/images/load', { raw: saved.body })
    const names = loaded.text.match(/Loaded image: \S+(?=\\n)/g)?.map((line) => line.slice('Loaded image: '.length))
    assert.deepEqual(names?.toSorted(), [`${repository}:1`, 'flat:latest', 'other:2'].toSorted())
    await ask('POST', at(`${repository}/push?tag=1`))
    await ask('DELETE', at(`${committed.Id.slice('sha256:'.length, 20)}?force=1`))
  })

  test('networks', { skip: noPacketFilter }, async () => {
    await ask('POST', '/networks/create', { Name: 'sea', Labels: { a: 'b' }, Options: { x: 'y' } })
    await ask('POST', '/networks/sea/connect', { Container: 'second' })
    await ask('POST', '/networks/sea/disconnect', { Container: 'second' })
    for (const query of ['', `?${filter({ label: { 'a=b': true } })}`]) await ask('GET', `/networks${query}`)
    await ask('DELETE', '/networks/sea')
    await ask('POST', '/networks/create', { Name: 'lake' })
  })

  test('volumes, and the use of the disk', async () => {
    await ask('POST', '/volumes/create', { Name: 'cask', Labels: { a: 'b' } })
    await ask('GET', '/volumes/cask')
    const driven = `?${filter({ driver: ['local'], dangling: ['true'], name: ['cas'] })}`
    assert.deepEqual(
      (await ask<{ Volumes: { Name: string }[] }>('GET', `/volumes${driven}`)).Volumes.map(({ Name }) => Name),
      ['cask'],
    )
    await ask('GET', '/system/df')
    for (const type of ['image', 'container', 'volume', 'build-cache']) await ask('GET', `/system/df?type=${type}`)
    await refused(400, 'GET', '/system/df?type=colour', /unknown object type: colour/)
    await ask('DELETE', '/volumes/cask')
  })

  test('who waits for a start alone hears of one that was just now; of all else what comes', async () => {
    const id = await engine.run('just-now', ['true'], { HostConfig: { NetworkMode: 'none' } })
    const heard = async (event: string[], more = ''): Promise<string[]> => {
      const filters = filter({ container: [id], event })
      const { text } = await engine.call('GET', `/events?until=${Date.now() / 1000 + 0.2}&${filters}${more}`)
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).Action)
    }
    assert.deepEqual(await heard(['start']), ['start'])
    assert.deepEqual(await heard(['start', 'create']), [])
    assert.deepEqual(await heard(['create']), [])
    assert.deepEqual(await heard(['start'], `&since=${Date.now() / 1000}`), [])
    await ask('DELETE', `/containers/${id}?force=1`)
  })

  test('prunes, and the events of all of it, from one time to another', async () => {
    await ask('POST', '/containers/first/stop?t=0')
    for (const kind of ['containers', 'images', 'networks', 'volumes'])
      await ask('POST', `/${kind}/prune?${filter({ label: ['nobody'] })}`)
    const until = encodeURIComponent(new Date(Date.now() + 86_400_000).toISOString())
    assert.equal((await engine.call('POST', `/containers/prune?${filter({ until: ['24h'] })}`)).status, 200)
    assert.deepEqual(await list({}), ['second', 'first'])
    await ask('POST', `/containers/prune?${filter({ 'label!': { 'a=c': true } })}`)
    assert.deepEqual(await list({}), ['second'])
    await ask('POST', `/containers/prune?filters=%7B%22until%22%3A%5B%22${until}%22%5D%7D`)
    await ask('POST', `/networks/prune`)
    await ask('POST', `/images/prune?${filter({ dangling: { false: true } })}`)
    await ask('POST', `/volumes/prune?${filter({ all: ['1'] })}`)
    const now = Date.now() / 1000
    const events = await engine.call('GET', `/events?since=1&until=${now + 0.2}`)
    const told = events.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { Type: string; Action: string })
    const actions = new Set(told.map(({ Type, Action }) => `${Type} ${Action.replace(/:.*/, '')}`))
    for (const one of [
      ...[
        'create',
        'start',
        'exec_create',
        'exec_start',
        'exec_die',
        'top',
        'export',
        'archive-path',
        'extract-to-dir',
      ],
      ...[
        'pause',
        'unpause',
        'update',
        'rename',
        'kill',
        'restart',
        'stop',
        'die',
        'resize',
        'destroy',
        'commit',
        'prune',
      ],
    ])
      assert.ok(actions.has(`container ${one}`), `container ${one}`)
    for (const one of ['pull', 'push', 'import', 'load', 'tag', 'untag', 'delete', 'prune'])
      assert.ok(actions.has(`image ${one}`), `image ${one}`)
    const made = noPacketFilter === false ? ['network create', 'network destroy'] : []
    for (const one of [...made, 'network prune', 'volume create', 'volume destroy']) assert.ok(actions.has(one), one)
    await refused(400, 'GET', '/events?since=5&until=4', /since/)
  })

  test('every description was met', () => {
    const possible = Object.keys(described).filter((key) => noPacketFilter === false || !key.includes('/networks'))
    const missed = possible.filter((key) => !engine.answers.has(key))
    assert.deepEqual(missed, [])
  })
})
