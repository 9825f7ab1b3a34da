/** What a container mounts, asked for over the socket and seen from inside: volumes, binds, tmpfs, images. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { mount, mountFlags, unmount } from '../../engine/kernel/mount.ffi.ts'
import { noEngine, TestEngine, unframe } from './engine.ts'

type Mounts = Record<string, unknown>[]

describe('mounts', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const create = (name: string, command: string, host: object) =>
    engine.call('POST', `/containers/create?name=${name}`, {
      body: { Image: 'host', Cmd: ['sh', '-c', command], HostConfig: { NetworkMode: 'none', ...host } },
    })

  /** Runs to the end and gives what was printed; the container stays. */
  async function run(name: string, command: string, host: object): Promise<string> {
    const created = await create(name, command, host)
    assert.equal(created.status, 201, created.text)
    const started = await engine.call('POST', `/containers/${name}/start`)
    assert.equal(started.status, 204, started.text)
    await engine.call('POST', `/containers/${name}/wait`)
    const { stdout, stderr } = unframe((await engine.call('GET', `/containers/${name}/logs?stdout=1&stderr=1`)).body)
    return stdout + stderr
  }
  const remove = async (...names: string[]): Promise<void> => {
    for (const name of names) assert.equal((await engine.call('DELETE', `/containers/${name}?force=1&v=1`)).status, 204)
  }
  const volume = async (body: object): Promise<void> => {
    const answer = await engine.call('POST', '/volumes/create', { body })
    assert.equal(answer.status, 201, answer.text)
  }
  const mountsOf = async (name: string): Promise<Mounts> =>
    (await engine.call('GET', `/containers/${name}/json`)).json<{ Mounts: Mounts }>().Mounts

  test('an image: its files, writable for this container alone, gone with it', async () => {
    const snapshots = join(engine.directory, 'root/snapshots')
    const image = { Type: 'image', Source: 'host', Target: '/other' }
    const command = 'ls -d /other/usr/bin; echo mine > /other/etc/mine; cat /other/etc/mine'
    assert.equal(await run('image', command, { Mounts: [image] }), '/other/usr/bin\nmine\n')
    const [mount] = await mountsOf('image')
    assert.deepEqual([mount?.Type, mount?.Destination, mount?.RW], ['image', '/other', true])
    const written = join(snapshots, String(lastSnapshot(snapshots)), 'fs/etc/mine')
    assert.equal(readFileSync(written, 'utf8'), 'mine\n')
    const readOnly = { Mounts: [{ ...image, ReadOnly: true }] }
    assert.match(await run('locked', 'ls /other/etc/mine; echo x > /other/x', readOnly), /No such file.*Read-only/s)
    await remove('image', 'locked')
    assert.equal(existsSync(written), false)
    for (const [wrong, sentence] of [
      [{ ...image, Source: 'nothing-like-it' }, /No such image: nothing-like-it:latest/],
      [{ ...image, Source: '' }, /field Source must not be empty/],
      [{ ...image, ImageOptions: { Subpath: 'etc' } }, /subpath \\"etc\\" cannot be mounted alone/],
      [{ ...image, VolumeOptions: {} }, /field VolumeOptions must not be specified/],
    ] as const) {
      const answer = await create('refused', 'true', { Mounts: [wrong] })
      assert.ok(answer.status >= 400 && answer.status !== 404, answer.text)
      assert.match(answer.text, sentence)
    }
  })

  test('tmpfs: size, mode, options; inspect shows it', async () => {
    const options = { SizeBytes: 1048576, Mode: 0o1770, Options: [['exec'], ['nr_inodes', '100']] }
    const out = await run('memory', 'stat -c %a /t; grep " /t " /proc/mounts; grep " /u " /proc/mounts', {
      Mounts: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: options }],
      Tmpfs: { '/u': 'ro,size=2m' },
    })
    const [mode, long, short] = out.split('\n')
    assert.equal(mode, '1770')
    assert.match(long ?? '', /^tmpfs \/t tmpfs rw,nosuid,nodev,relatime,size=1024k,nr_inodes=100,mode=1770/)
    assert.match(short ?? '', /^tmpfs \/u tmpfs ro,nosuid,nodev,noexec,relatime,size=2048k/)
    assert.deepEqual(
      (await mountsOf('memory')).map(({ Type, Destination }) => [Type, Destination]),
      [['tmpfs', '/t']],
    )
    await remove('memory')
  })

  test('volumes with driver options: memory, a directory of the machine, a server that is not there', async () => {
    const place = join(engine.directory, 'place')
    mkdirSync(place)
    writeFileSync(join(place, 'here'), 'found')
    await volume({ Name: 'ram', DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=7' } })
    await volume({ Name: 'dir', DriverOpts: { type: 'none', device: place, o: 'bind' } })
    await volume({ Name: 'nfs', DriverOpts: { type: 'nfs', device: ':/export', o: 'addr=127.0.0.1,nolock' } })
    const command = 'stat -f -c %T /ram; stat -c %u /ram; cat /dir/here; echo more > /dir/more'
    assert.equal(await run('driven', command, { Binds: ['ram:/ram', 'dir:/dir'] }), 'tmpfs\n7\nfound')
    assert.equal(readFileSync(join(place, 'more'), 'utf8'), 'more\n')
    await create('remote', 'true', { Binds: ['nfs:/n'] })
    const refused = await engine.call('POST', '/containers/remote/start')
    assert.ok(refused.status >= 400)
    assert.match(refused.text, /mount :\/export|mount nfs/)
    for (const [options, sentence] of [
      [{ o: 'size=1m' }, /missing required option: \\"type\\"/],
      [{ device: '/tmp' }, /missing required option: \\"type\\"/],
      [{ type: 'nfs', o: 'addr=::1' }, /missing required option: \\"device\\"/],
      [{ o: 'bind', device: 'relative' }, /absolute path/],
      [{ size: '1m' }, /no quota/],
      [{ colour: 'red' }, /invalid option: \\"colour\\"/],
    ] as const) {
      const answer = await engine.call('POST', '/volumes/create', { body: { Name: 'odd', DriverOpts: options } })
      assert.equal(answer.status, 400)
      assert.match(answer.text, sentence)
    }
    assert.equal((await engine.call('GET', '/volumes/odd')).status, 404)
    await remove('driven', 'remote')
    for (const name of ['ram', 'dir', 'nfs']) await engine.call('DELETE', `/volumes/${name}`)
    assert.equal(readFileSync(join(place, 'here'), 'utf8'), 'found')
  })

  test('binds: -v makes a missing source, --mount refuses; read-only and propagation', async () => {
    const missing = join(engine.directory, 'missing')
    const refused = await create('strict', 'true', { Mounts: [{ Type: 'bind', Source: missing, Target: '/m' }] })
    assert.equal(refused.status, 400)
    assert.match(refused.text, /bind source path does not exist/)
    assert.equal(existsSync(missing), false)
    const out = await run('loose', 'touch /m/x || echo refused; grep " /m " /proc/self/mountinfo', {
      Binds: [`${missing}:/m:ro`],
    })
    assert.match(out, /Read-only file system\n/)
    assert.match(out, /refused/)
    assert.ok(existsSync(missing))
    rmSync(missing, { recursive: true })
    await remove('loose')
  })

  test('binds propagate where the machine shares them, and are refused where it does not', async () => {
    using stack = new DisposableStack()
    const place = join(engine.directory, 'shared')
    mkdirSync(join(place, 'sub'), { recursive: true })
    mount({ source: place, target: place, flags: mountFlags.MS_BIND })
    stack.defer(() => unmount(place, { lazy: true }))
    mount({ target: place, flags: mountFlags.MS_PRIVATE })
    const host = { Binds: [`${place}:/m:rshared`], Privileged: true }
    await create('lonely', 'true', host)
    const refused = await engine.call('POST', '/containers/lonely/start')
    assert.equal(refused.status, 400)
    assert.match(refused.text, /is mounted on .*\/shared but it is not a shared mount/)
    mount({ target: place, flags: mountFlags.MS_SHARED })
    assert.equal(await run('sharing', 'mount -t tmpfs x /m/sub; touch /m/sub/out', host), '')
    assert.ok(existsSync(join(place, 'sub/out')))
    unmount(join(place, 'sub'))
    await remove('lonely', 'sharing')
  })

  test('volumes of others: --volumes-from, read-only where it says so', async () => {
    assert.equal(await run('owner', 'echo cargo > /hold/x', { Binds: ['hold:/hold'] }), '')
    assert.equal(await run('reader', 'cat /hold/x', { VolumesFrom: ['owner'] }), 'cargo\n')
    assert.match(await run('guest', 'echo x > /hold/y', { VolumesFrom: ['owner:ro'] }), /Read-only file system/)
    const held = await engine.call('DELETE', '/volumes/hold')
    assert.equal(held.status, 409)
    assert.match(held.text, /volume is in use - \[[0-9a-f]{64}, /)
    await remove('owner', 'reader', 'guest')
    assert.equal((await engine.call('DELETE', '/volumes/hold')).status, 204)
  })

  test('a volume of a container that is being made cannot be removed', async () => {
    let made = false
    const making = create('slow', 'true', { Binds: ['racing:/usr/share/zoneinfo'] }).finally(() => {
      made = true
    })
    const statuses = new Set<number>()
    while (!made) statuses.add((await engine.call('DELETE', '/volumes/racing')).status)
    assert.equal((await making).status, 201)
    assert.deepEqual(statuses.has(204), false, 'it was removed')
    assert.ok(statuses.has(409), 'it was in use')
    assert.equal((await engine.call('GET', '/volumes/racing')).status, 200)
    await remove('slow')
    assert.equal((await engine.call('DELETE', '/volumes/racing')).status, 204)
  })

  test('copy-up once, unless nocopy; anonymous ones go by prune, named ones by all', async () => {
    await run('copied', 'ls /etc/passwd', { Binds: ['first:/etc/ssl', 'second:/etc/alternatives:nocopy'] })
    const of = async (name: string): Promise<string> =>
      (await engine.call('GET', `/volumes/${name}`)).json<{ Mountpoint: string }>().Mountpoint
    assert.ok(existsSync(join(await of('first'), 'certs')))
    assert.equal(existsSync(join(await of('second'), 'vi')), false)
    await remove('copied')
    await volume({ Labels: { keep: 'no' } })
    const prune = async (query: string): Promise<string[]> =>
      (await engine.call('POST', `/volumes/prune${query}`)).json<{ VolumesDeleted: string[] | null }>()
        .VolumesDeleted ?? []
    const filter = (filters: object): string => `?filters=${encodeURIComponent(JSON.stringify(filters))}`
    assert.equal((await prune(filter({ 'label!': ['keep'] }))).length, 0)
    assert.equal((await prune('')).length, 1)
    assert.deepEqual((await prune(filter({ all: { true: true } }))).toSorted(), ['first', 'second'])
  })

  test('what is not offered is refused by name', async () => {
    for (const [host, sentence] of [
      [{ DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] }, /capabilities: \[\[gpu\]\]/],
      [{ StorageOpt: { size: '1G' } }, /storage-opt is not supported/],
      [{ VolumeDriver: 'cloud' }, /volume plugin cloud/],
      [{ Isolation: 'hyperv' }, /invalid isolation 'hyperv' on linux/],
      [{ CpuCount: 2 }, /CpuCount/],
    ] as const) {
      const answer = await create('absent', 'true', host)
      assert.ok([400, 501].includes(answer.status), answer.text)
      assert.match(answer.text, sentence)
    }
    assert.equal((await engine.call('GET', '/containers/absent/json')).status, 404)
    const plain = {
      Links: [],
      DeviceRequests: null,
      StorageOpt: {},
      VolumeDriver: '',
      Isolation: 'default',
      CpuCount: 0,
    }
    assert.equal((await create('absent', 'true', plain)).status, 201)
    await remove('absent')
  })
})

/** The number of the newest snapshot directory. */
function lastSnapshot(directory: string): number {
  return Math.max(
    ...readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
  )
}
