/** dockerode, unchanged: each of its calls that has something to do with this engine, once at least. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Duplex, PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { pack } from 'tar-stream'
import { rest, TestEngine } from '../engine/engine.ts'
import { noRegistry, type Registry, startRegistry } from '../registry.ts'
import { load, noPackages } from './client-bed.ts'

/** As much of its types as is used here; the package brings none. */
// biome-ignore lint/suspicious/noExplicitAny: a client is called as its users call it, without our types
type Any = any

async function tarOf(files: Record<string, string>): Promise<Buffer> {
  const tar = pack()
  for (const [name, content] of Object.entries(files)) tar.entry({ name }, content)
  tar.finalize()
  return rest(Readable.from(tar))
}

describe('dockerode', { skip: noPackages || noRegistry }, () => {
  let engine: TestEngine
  let registry: Registry
  let docker: Any
  before(async () => {
    registry = await startRegistry()
    engine = await TestEngine.start()
    const Docker = load<Any>('dockerode')
    docker = new Docker({ socketPath: engine.socket })
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })

  const plain = { HostConfig: { NetworkMode: 'none' } }
  const make = (name: string, Cmd: string[], more: object = {}): Promise<Any> =>
    docker.createContainer({ name, Image: 'host', Cmd, ...plain, ...more })

  /** What went to the two outputs of a stream in frames. */
  async function demuxed(stream: Duplex): Promise<string[]> {
    const [out, error] = [new PassThrough(), new PassThrough()]
    docker.modem.demuxStream(stream, out, error)
    stream.on('end', () => {
      for (const one of [out, error]) one.end()
    })
    return Promise.all([text(out), text(error)])
  }

  const followed = (stream: Any): Promise<{ status?: string; stream?: string; error?: string }[]> =>
    new Promise((resolve, reject) =>
      docker.modem.followProgress(stream, (error: Error | null, all: Any) => (error ? reject(error) : resolve(all))),
    )

  test('the engine: ping, info, version, df, events', async () => {
    assert.equal(String(await docker.ping()), 'OK')
    assert.equal((await docker.info()).OSType, 'linux')
    assert.equal((await docker.version()).ApiVersion, '1.51')
    assert.ok((await docker.df()).Images.length >= 1)
    const events = await docker.getEvents({ filters: { type: ['container'], event: ['create'] } })
    const told = once(events, 'data') as Promise<[Buffer]>
    const container = await make('seen', ['true'])
    assert.equal(JSON.parse(String((await told)[0])).Actor.Attributes.name, 'seen')
    events.destroy()
    await container.remove()
  })

  test('a container, verb by verb', async () => {
    const container = await make('verbs', ['sh', '-c', 'echo out; echo err >&2; exec sleep 600'], {
      Labels: { a: 'b' },
    })
    await container.start()
    await assert.rejects(container.start(), { statusCode: 304 })
    assert.equal((await container.inspect()).State.Status, 'running')
    assert.equal((await docker.listContainers({ filters: { label: ['a=b'] } })).length, 1)
    for (const verb of ['pause', 'unpause']) await container[verb]()
    assert.match(String(await container.logs({ stdout: true, stderr: true })), /out\n.*err\n/s)
    const following = await container.logs({ follow: true, stdout: true, stderr: true, tail: 'all' })
    const both = demuxed(following)
    assert.equal((await container.top({ ps_args: '-ef' })).Processes.length, 1)
    assert.equal((await container.stats({ stream: false })).name, '/verbs')
    assert.deepEqual(await container.update({ Memory: 67108864, MemorySwap: -1 }), { Warnings: [] })
    // It does not read a document that is null.
    assert.equal(String(await container.changes()), 'null\n')
    await container.rename({ name: 'renamed' })
    await container.putArchive(await tarOf({ put: 'in' }), { path: '/srv' })
    assert.match(await text(await container.getArchive({ path: '/srv/put' })), /in/)
    assert.ok((await container.infoArchive({ path: '/srv/put' })).headers)
    await container.kill({ signal: 'SIGWINCH' })
    const ended = container.wait()
    await container.stop({ t: 0 })
    assert.equal((await ended).StatusCode, 137)
    assert.deepEqual(await both, ['out\n', 'err\n'])
    await assert.rejects(container.stop(), { statusCode: 304 })
    await container.restart({ t: 0 })
    await container.remove({ force: true, v: true })
    await assert.rejects(container.inspect(), { statusCode: 404, reason: 'no such container' })
  })

  // Over plain HTTP its input has no end, so what is run takes one line.
  for (const hijack of [true, false])
    test(`attach and exec ${hijack ? 'with' : 'without'} an upgrade`, async () => {
      const line = 'read word; echo $word'
      const container = await make(`streams-${hijack}`, ['sh', '-c', line], { OpenStdin: true, StdinOnce: true })
      const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack })
      await container.start()
      const both = demuxed(stream)
      const outputs = { AttachStdin: true, AttachStdout: true, AttachStderr: true }
      const exec = await container.exec({ Cmd: ['sh', '-c', `${line}; echo err >&2; exit 3`], ...outputs })
      const inside = await exec.start({ hijack, stdin: true })
      const seen = demuxed(inside)
      inside.write('words\n')
      assert.deepEqual(await seen, ['words\n', 'err\n'])
      assert.equal((await exec.inspect()).ExitCode, 3)
      stream.write('through\n')
      assert.deepEqual(await both, ['through\n', ''])
      for (const one of [inside, stream]) one.destroy?.()
      await container.remove({ force: true })
    })

  test('a terminal: resize, and run as one call', async () => {
    const out = new PassThrough()
    const all = text(out)
    const [data, container] = await docker.run('host', ['sh', '-c', 'stty size; exit 4'], out, {
      ...plain,
      Tty: true,
      HostConfig: { ...plain.HostConfig, ConsoleSize: [30, 90] },
    })
    assert.equal(data.StatusCode, 4)
    out.end()
    assert.equal(await all, '30 90\r\n')
    await container.remove()
    const open = await make('terminal', ['sleep', '600'], { Tty: true })
    await open.start()
    await open.resize({ h: 20, w: 60 })
    const exec = await open.exec({ Cmd: ['sleep', '60'], Tty: true, AttachStdout: true })
    const stream = await exec.start({ Tty: true })
    await exec.resize({ h: 10, w: 20 })
    await open.remove({ force: true })
    stream.destroy()
  })

  test('images: import, commit, tag, push, pull, save, load, history, remove', async () => {
    const imported = await docker.importImage(Readable.from([await tarOf({ file: 'x' })]), { repo: 'made', tag: '1' })
    await followed(imported)
    const repository = `${registry.host}/made`
    const image = docker.getImage('made:1')
    await image.tag({ repo: repository, tag: '2' })
    const remote = docker.getImage(`${repository}:2`)
    const authconfig = { username: 'u', password: 'p', serveraddress: registry.host }
    assert.ok((await followed(await remote.push({ authconfig }))).some(({ status }) => status?.startsWith('2: digest')))
    assert.match((await remote.distribution()).Descriptor.digest, /^sha256:/)
    const saved = await rest(await remote.get())
    assert.equal((await remote.history()).length, 1)
    await remote.remove()
    const told = await followed(await docker.pull(`${repository}:2`, { authconfig }))
    assert.match(told.at(-1)?.status ?? '', /^Status: Downloaded newer image/)
    assert.equal((await remote.inspect()).RepoTags.includes(`${repository}:2`), true)
    await remote.remove()
    await image.remove()
    assert.match((await followed(await docker.loadImage(Readable.from([saved])))).at(-1)?.stream ?? '', /Loaded image/)
    const created = await docker.createContainer({ name: 'whole', Image: `${repository}:2`, Cmd: ['/none'] })
    assert.match(await text(await created.export()), /file/)
    const committed = await created.commit({ repo: 'kept', comment: 'c', changes: ['LABEL a=b'] })
    assert.match(committed.Id, /^sha256:/)
    assert.equal((await docker.listImages({ filters: { label: ['a=b'] } })).length, 1)
    await created.remove()
    assert.equal((await docker.checkAuth(authconfig)).Status, 'Login Succeeded')
    await assert.rejects(docker.pull(`${registry.host}/none:1`), { statusCode: 404 })
    await assert.rejects(docker.createContainer({ Image: 'no-such-image' }), /no such image/i)
  })

  test('networks and volumes, and all prunes', async () => {
    const network = await docker.createNetwork({ Name: 'sea', Labels: { a: 'b' } })
    const container = await make('ship', ['sleep', '600'], { HostConfig: {} })
    await container.start()
    await network.connect({ Container: container.id, EndpointConfig: { Aliases: ['vessel'] } })
    assert.ok((await network.inspect()).Containers[container.id])
    await network.disconnect({ Container: container.id })
    await network.remove()
    assert.deepEqual(
      (await docker.listNetworks({ filters: { type: ['builtin'] } })).map(({ Name }: Any) => Name).toSorted(),
      ['bridge', 'host', 'none'],
    )
    const volume = await docker.createVolume({ Name: 'hold', Labels: { a: 'b' } })
    assert.equal((await volume.inspect()).Labels.a, 'b')
    assert.equal((await docker.listVolumes({ filters: { label: ['a=b'] } })).Volumes.length, 1)
    await volume.remove()
    await container.kill()
    assert.deepEqual((await docker.pruneContainers()).ContainersDeleted, [container.id])
    assert.equal((await docker.pruneNetworks()).NetworksDeleted, null)
    assert.equal((await docker.pruneVolumes()).VolumesDeleted, null)
    assert.ok((await docker.pruneImages({ filters: { dangling: ['false'] } })).ImagesDeleted.length > 0)
  })

  test('what is switched off says so', async () => {
    assert.deepEqual((await docker.listPlugins()) ?? [], [])
    for (const call of ['listServices', 'listNodes', 'listTasks', 'listSecrets', 'listConfigs', 'swarmInspect'])
      await assert.rejects(docker[call](), { statusCode: 503 })
  })
})
