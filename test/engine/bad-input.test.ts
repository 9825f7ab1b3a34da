/** Bad input over the socket: a clear error in the API's words, and nothing left of it on the machine. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { digestOf, type HandmadeImage, imageOf, layerOf } from '../registry.ts'
import { noEngine, TestEngine } from './engine.ts'
import { type HostileRegistry, sendHalf, startHostile } from './registry-hostile.ts'
import { groupsOf, residue, residueLike, settled } from './residue.ts'

async function archiveOf(
  ...entries: [{ name: string; type?: 'symlink'; linkname?: string }, string?][]
): Promise<Buffer> {
  const archive = pack()
  for (const [header, content] of entries) archive.entry(header, content ?? '')
  archive.finalize()
  return Buffer.concat(await Array.fromAsync(archive as AsyncIterable<Buffer>))
}

/** The image with another blob as its only layer: the manifest is right about the blob, whatever is in it. */
function withBlob(image: HandmadeImage, bytes: Buffer): HandmadeImage {
  const layer = { ...image.layers[0]!, bytes, digest: digestOf(bytes), size: bytes.length }
  const { mediaType, digest, size } = layer
  const manifest = Buffer.from(
    JSON.stringify({ ...JSON.parse(image.manifest.toString()), layers: [{ mediaType, digest, size }] }),
  )
  return { ...image, manifest, digest: digestOf(manifest), layers: [layer] }
}

describe('bad input', { skip: noEngine }, () => {
  let engine: TestEngine
  let registry: HostileRegistry
  before(async () => {
    engine = await TestEngine.start()
    registry = await startHostile()
  })
  after(async () => {
    await registry?.[Symbol.asyncDispose]()
    await engine?.[Symbol.asyncDispose]()
  })

  /** The error of a request, as status (200: told in a stream that had begun) and sentence. Nothing may be left of it. */
  async function refusal(method: string, path: string, call: Parameters<TestEngine['call']>[2] = {}): Promise<string> {
    const was = residue(engine)
    const answer = await engine.call(method, path, call)
    const last = JSON.parse(answer.text.trim().split('\r\n').at(-1) ?? '') as {
      message?: string
      errorDetail?: { message: string }
    }
    assert.deepEqual(await residueLike(engine, was), was)
    return `${answer.status} ${last.errorDetail?.message ?? last.message}`
  }

  const pullOf = (name: string): string => `/images/create?fromImage=${registry.host}/${name}&tag=1`

  test('pull: an image that its registry does not have', async () => {
    assert.equal(
      await refusal('POST', pullOf('nothing')),
      `404 manifest for ${registry.host}/nothing:1 not found: manifest unknown: not here`,
    )
    const run = await engine.docker(['run', '--rm', `${registry.host}/nothing:1`])
    assert.equal(run.code, 125)
    assert.match(run.error, /Unable to find image .*\n.*manifest unknown/)
  })

  test('pull: a registry that nobody can reach', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    assert.match(
      await refusal('POST', `/images/create?fromImage=127.0.0.1:${port}/x&tag=1`),
      new RegExp(`^50[03] Get "http://127\\.0\\.0\\.1:${port}/v2/": dial tcp .*: connect: connection refused$`),
    )
  })

  test('pull: a layer whose digest is another', async () => {
    const made = imageOf([await layerOf({ a: 'a' })])
    registry.add('wrong', '1', made)
    registry.on(made.layers[0]!.digest, (_, response) => {
      response.end(Buffer.alloc(made.layers[0]!.size))
      return true
    })
    const blobs = residue(engine).length
    const answer = await engine.call('POST', pullOf('wrong'))
    assert.match(answer.text, /"error":"filesystem layer verification failed for digest sha256:/)
    // Its manifest and its configuration came whole, and stay for the next try.
    assert.ok(residue(engine).length <= blobs + 2)
    assert.equal((await engine.call('POST', '/images/prune')).status, 200)
    assert.equal(residue(engine).length, blobs)
  })

  const hostile: [what: string, sentence: RegExp, made: () => Promise<HandmadeImage>][] = [
    [
      'a layer that was cut off before it was packed',
      /unexpected end|not a valid tar|is cut off|truncated|ends/i,
      async () => imageOf([(await layerOf({ a: 'a'.repeat(5000) })).subarray(0, 3000)]),
    ],
    [
      'a layer that was cut off after it was packed',
      /gzip data is damaged/,
      async () => {
        const tar = await layerOf({ a: 'a'.repeat(5000) })
        const whole = gzipSync(tar)
        return withBlob(imageOf([tar]), whole.subarray(0, whole.length - 20))
      },
    ],
    [
      'an entry that climbs out of the root',
      /leaves the layer: "\.\.\/\.\.\/pwned"/,
      async () => imageOf([await archiveOf([{ name: '../../pwned' }, 'x'])]),
    ],
    [
      'an entry that goes out through a link',
      /leaves the layer: "out"/,
      async () =>
        imageOf([
          await archiveOf(
            [{ name: 'out', type: 'symlink', linkname: '/var/tmp' }],
            [{ name: 'out/drydock-pwned' }, 'x'],
          ),
        ]),
    ],
  ]
  for (const [at, [what, sentence, made]] of hostile.entries())
    test(`pull: ${what}`, async () => {
      const was = residue(engine)
      registry.add(`hostile${at}`, '1', await made())
      const answer = await engine.call('POST', pullOf(`hostile${at}`))
      const { error } = JSON.parse(answer.text.trim().split('\r\n').at(-1) ?? '') as { error: string }
      assert.match(error, sentence)
      for (const place of ['/var/tmp/drydock-pwned', join(engine.directory, 'pwned')])
        assert.equal(existsSync(place), false)
      assert.equal((await engine.call('POST', '/images/prune')).status, 200)
      assert.deepEqual(await residueLike(engine, was), was)
    })

  test('pull: an entry below a link of the layer below becomes a directory of its own, and nothing goes out', async () => {
    const was = residue(engine)
    const link = await archiveOf([{ name: 'out', type: 'symlink', linkname: '/var/tmp' }])
    registry.add('below', '1', imageOf([link, await archiveOf([{ name: 'out/drydock-pwned' }, 'x'])]))
    assert.match((await engine.call('POST', pullOf('below'))).text, /Status: Downloaded newer image/)
    assert.equal(existsSync('/var/tmp/drydock-pwned'), false)
    assert.equal((await engine.call('DELETE', `/images/${registry.host}/below:1`)).status, 200)
    assert.deepEqual(await residueLike(engine, was), was)
  })

  test('pull: an absolute name is meant from the root of the image, not of the machine', async () => {
    const was = residue(engine)
    registry.add('absolute', '1', imageOf([await archiveOf([{ name: '/var/tmp/drydock-pwned' }, 'x'])]))
    assert.match((await engine.call('POST', pullOf('absolute'))).text, /Status: Downloaded newer image/)
    assert.equal(existsSync('/var/tmp/drydock-pwned'), false)
    assert.equal((await engine.call('DELETE', `/images/${registry.host}/absolute:1`)).status, 200)
    assert.deepEqual(await residueLike(engine, was), was)
  })

  const bridged = (more: object): object => ({ Image: 'host', Cmd: ['sleep', '600'], HostConfig: more })
  const create = (name: string): string => `/containers/create?name=${name}`
  const isolated = { NetworkMode: 'none' }
  for (const [what, name, body, sentence] of [
    [
      'an invalid name',
      '-bad',
      bridged(isolated),
      '400 Invalid container name (-bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
    ],
    ['a name that is a path', '..%2F..%2Fbad', bridged(isolated), /^400 Invalid container name/],
    [
      'a bind whose source is missing',
      'bind',
      bridged({ ...isolated, Mounts: [{ Type: 'bind', Source: '/no/such/place', Target: '/x' }] }),
      /^400 invalid mount config for type "bind": bind source path does not exist: \/no\/such\/place$/,
    ],
    [
      'too little memory',
      'memory',
      bridged({ ...isolated, Memory: 1024 * 1024 }),
      '400 Minimum memory limit allowed is 6MB',
    ],
    ['a port that is none', 'port', bridged({ PortBindings: { '80/tcp': [{ HostPort: '70000' }] } }), /^400 .*70000/],
  ] as const)
    test(`create: ${what}`, async () => {
      const said = await refusal('POST', create(name), { body })
      if (typeof sentence === 'string') assert.equal(said, sentence)
      else assert.match(said, sentence)
      assert.deepEqual((await engine.call('GET', '/containers/json?all=1')).json(), [])
    })

  test('create: a name that is taken', async () => {
    await engine.run('taken', ['sleep', '600'])
    assert.match(
      await refusal('POST', create('taken'), { body: bridged(isolated) }),
      /^409 Conflict\. The container name "\/taken" is already in use by container "[0-9a-f]{64}"/,
    )
    await engine.call('DELETE', '/containers/taken?force=1')
  })

  test('create: a body without end', async () => {
    const raw = Buffer.alloc(5 * 1024 * 1024, ' ')
    const said = await refusal('POST', create('endless'), { raw, headers: { 'Content-Type': 'application/json' } })
    assert.match(said, /^400 request body too large/)
  })

  test('start: a port in use, by us and by another process', { skip: noPacketFilter }, async () => {
    await using other = createServer().listen(0, '0.0.0.0')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const published = (text: string): object =>
      bridged({ NetworkMode: 'bridge', PortBindings: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: text }] } })
    await engine.call('POST', create('first'), { body: published('') })
    assert.equal((await engine.call('POST', '/containers/first/start')).status, 204)
    const { NetworkSettings } = (await engine.call('GET', '/containers/first/json')).json<{
      NetworkSettings: { Ports: Record<string, { HostPort: string }[]> }
    }>()
    const ours = NetworkSettings.Ports['80/tcp']![0]!.HostPort
    for (const [number, sentence] of [
      [ours, `Bind for 0.0.0.0:${ours} failed: port is already allocated`],
      [String(port), 'address already in use'],
    ] as const) {
      const created = await engine.call('POST', create('second'), { body: published(number) })
      const { Id } = created.json<{ Id: string }>()
      const said = await refusal('POST', '/containers/second/start')
      assert.match(said, /^500 failed to set up container networking: /)
      assert.ok(said.endsWith(sentence), said)
      assert.deepEqual(groupsOf([Id]), [])
      const { State } = (await engine.call('GET', '/containers/second/json')).json<{ State: { Status: string } }>()
      assert.equal(State.Status, 'created')
      assert.equal((await engine.call('DELETE', '/containers/second')).status, 204)
    }
    assert.equal((await engine.call('DELETE', '/containers/first?force=1')).status, 204)
  })

  for (const [program, code, sentence] of [
    ['no-such-program', 127, 'executable file not found in $PATH'],
    ['/no/such/program', 127, 'no such file or directory'],
    ['/etc/passwd', 126, 'permission denied'],
  ] as const)
    test(`run: ${program} is ${code}`, async () => {
      const was = residue(engine)
      const run = await engine.docker(['run', '--name', 'bad', '--network', 'none', 'host', program])
      assert.equal(run.code, code)
      assert.match(run.error, new RegExp(`Error response from daemon: .*${sentence.replace('$', '\\$')}`))
      const { Id, State } = (await engine.call('GET', '/containers/bad/json')).json<{
        Id: string
        State: { ExitCode: number; Status: string }
      }>()
      assert.deepEqual([State.ExitCode, State.Status], [code, 'created'])
      assert.equal((await engine.call('DELETE', '/containers/bad')).status, 204)
      assert.deepEqual(groupsOf([Id]), [])
      assert.deepEqual(await residueLike(engine, was), was)
    })

  test('a client that vanishes amid a pull: the download is let go of, and the next pull goes on with it', async () => {
    const made = imageOf([await layerOf({ a: Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i) % 251)) })])
    registry.add('slow', '1', made)
    const stalled = Promise.withResolvers<void>()
    const letGo = Promise.withResolvers<void>()
    registry.on(made.layers[0]!.digest, (_, response, times) => {
      if (times > 1) return false
      response.on('close', () => letGo.resolve())
      return sendHalf(response, made.layers[0]!.bytes, () => stalled.resolve())
    })
    const response = await engine.open('POST', pullOf('slow'))
    response.on('error', () => {})
    response.resume()
    await stalled.promise
    response.destroy()
    await letGo.promise
    const answer = await engine.call('POST', pullOf('slow'))
    assert.match(answer.text, /Status: Downloaded newer image/)
    assert.equal((await engine.call('DELETE', `/images/${registry.host}/slow:1`)).status, 200)
  })

  test('a client that vanishes amid an upload leaves nothing', async () => {
    const was = residue(engine)
    const archive = await layerOf({ 'layer.tar': Buffer.alloc(1_000_000, 'x') })
    for (const path of ['/images/load', '/images/create?fromSrc=-&repo=half']) {
      const socket = await engine.wire()
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: ${archive.length}`
      socket.write(`${head}\r\n\r\n`)
      socket.write(archive.subarray(0, 500_000))
      // It has begun when there is something of it.
      await settled(
        () => residue(engine).length,
        (now) => now > was.length,
      )
      socket.destroy()
      assert.deepEqual(await residueLike(engine, was), was)
    }
  })
})
