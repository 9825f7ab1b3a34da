/** Clients that are other users: who may connect, and what the engine mounts for them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noEngine, rest, TestEngine, unframe } from './engine.ts'

type User = { uid: number; gid: number; groups: number[] }

const root: User = { uid: 0, gid: 0, groups: process.getgroups?.() ?? [] }
const owner: User = { uid: 61001, gid: 61001, groups: [61005] }
const member: User = { uid: 61002, gid: 61002, groups: [61006] }
const stranger: User = { uid: 61003, gid: 61003, groups: [] }

function become({ uid, gid, groups }: User): void {
  if (uid === 0) process.seteuid?.(0)
  process.setgroups?.(groups)
  process.setegid?.(gid)
  if (uid !== 0) process.seteuid?.(uid)
}

/** The kernel keeps who called connect(2), which Node does before this returns. */
async function connectAs(user: User, path: string): Promise<Socket> {
  become(user)
  let socket: Socket
  try {
    socket = connect(path)
  } finally {
    become(root)
  }
  await once(socket, 'connect')
  return socket
}

describe('clients of other users', { skip: noEngine }, () => {
  let engine: TestEngine
  let place: string
  const settings = ['--user', String(owner.uid), '--group', '61006']
  before(async () => {
    engine = await TestEngine.start(...settings)
    chmodSync(engine.directory, 0o711)
    place = join(engine.directory, 'files')
    mkdirSync(join(place, 'theirs'), { recursive: true })
    chownSync(join(place, 'theirs'), owner.uid, owner.gid)
    writeFileSync(join(place, 'theirs', 'file'), 'theirs\n')
    chownSync(join(place, 'theirs', 'file'), owner.uid, owner.gid)
    for (const [name, mode, group] of [
      ['secret', 0o700, 0],
      ['shared', 0o750, 61005],
    ] as const) {
      mkdirSync(join(place, name), { mode })
      chownSync(join(place, name), 0, group)
      writeFileSync(join(place, name, 'file'), `${name}\n`)
    }
    symlinkSync(join(place, 'secret'), join(place, 'theirs', 'link'))
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  async function callAs(user: User, method: string, path: string, body?: object): Promise<string> {
    const socket = await connectAs(user, engine.socket)
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const outgoing = request({ createConnection: () => socket, method, path, headers })
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    const [response] = await once(outgoing, 'response')
    const text = (await rest(response)).toString()
    return response.statusCode < 400 ? `${response.statusCode}` : `${response.statusCode} ${JSON.parse(text).message}`
  }

  const createAs = (user: User, name: string, host: object): Promise<string> =>
    callAs(user, 'POST', `/containers/create?name=${name}`, {
      Image: 'host',
      Cmd: ['sh', '-c', 'cat /m/file'],
      HostConfig: { NetworkMode: 'none', ...host },
    })
  const startAs = (user: User, name: string): Promise<string> => callAs(user, 'POST', `/containers/${name}/start`)

  /** What a container that `user` creates and starts prints; it is removed. */
  async function shown(user: User, host: object): Promise<string> {
    assert.equal(await createAs(user, 'shown', host), '201')
    assert.equal(await startAs(user, 'shown'), '204')
    await engine.call('POST', '/containers/shown/wait')
    const { stdout, stderr } = unframe((await engine.call('GET', '/containers/shown/logs?stdout=1&stderr=1')).body)
    assert.equal((await engine.call('DELETE', '/containers/shown')).status, 204)
    return stdout + stderr
  }

  const bind = (path: string) => ({ Binds: [`${join(place, path)}:/m`] })
  const refusal = (path: string, what = 'read'): string =>
    `403 cannot mount ${join(place, path)}: user ${owner.uid} may not ${what} it, and the engine mounts for clients only what is theirs to use (engine option --client-mounts)`
  const containers = async (): Promise<number> =>
    (await engine.call('GET', '/containers/json?all=1')).json<unknown[]>().length

  test('the owner and the group of the socket connect, and nobody else but root', async () => {
    for (const user of [root, owner, member]) assert.equal(await callAs(user, 'GET', '/_ping'), '200')
    await assert.rejects(connectAs(stranger, engine.socket), { code: 'EACCES' })
  })

  test('a bind of what its client may read, itself or by a group', async () => {
    assert.equal(await shown(owner, bind('theirs')), 'theirs\n')
    assert.equal(await shown(owner, bind('shared')), 'shared\n')
    assert.equal(await shown(owner, { Binds: [`${join(place, 'theirs/file')}:/m/file:ro`] }), 'theirs\n')
    assert.equal(await shown(root, bind('secret')), 'secret\n')
  })

  test('with owners mapped, as the editor mounts a folder: what is written is the client’s', async () => {
    const body = { Image: 'host', Cmd: ['sh', '-c', 'echo x > /m/written; stat -c %u /m/file'], Tty: true }
    const HostConfig = { NetworkMode: 'none', Binds: [`${join(place, 'theirs')}:/m:idmap`] }
    assert.equal(await callAs(owner, 'POST', '/containers/create?name=mapped', { ...body, HostConfig }), '201')
    assert.equal(await startAs(owner, 'mapped'), '204')
    await engine.call('POST', '/containers/mapped/wait')
    assert.equal((await engine.call('GET', '/containers/mapped/logs?stdout=1')).text, '0\r\n')
    assert.equal(statSync(join(place, 'theirs/written')).uid, owner.uid)
    assert.equal((await engine.call('DELETE', '/containers/mapped')).status, 204)
  })

  test('a bind of what its client may not read: directly, below it, through a link, from another container', async () => {
    for (const path of ['secret', 'secret/file', 'theirs/link'])
      assert.equal(await createAs(owner, 'refused', bind(path)), refusal(path))
    const mount = { Type: 'bind', Source: join(place, 'secret'), Target: '/m' }
    assert.equal(await createAs(owner, 'refused', { Mounts: [mount] }), refusal('secret'))
    assert.equal(await createAs(member, 'refused', bind('shared')), refusal('shared').replace('61001', '61002'))
    assert.equal(await createAs(root, 'lender', bind('secret')), '201')
    assert.equal(await createAs(owner, 'refused', { VolumesFrom: ['lender'] }), refusal('secret'))
    assert.equal((await engine.call('DELETE', '/containers/lender')).status, 204)
    assert.equal(await containers(), 0)
  })

  test('a missing source is made where its client may make it, and is the client’s', async () => {
    assert.equal(await createAs(owner, 'made', bind('theirs/new/below')), '201')
    assert.deepEqual(
      [statSync(join(place, 'theirs/new/below')).uid, statSync(join(place, 'theirs/new')).gid],
      [61001, 61001],
    )
    assert.equal((await engine.call('DELETE', '/containers/made')).status, 204)
    assert.equal(await createAs(owner, 'refused', bind('new')), refusal('new', 'make'))
    assert.equal(existsSync(join(place, 'new')), false)
    const mount = { Type: 'bind', Source: join(place, 'theirs/none'), Target: '/m' }
    assert.match(await createAs(owner, 'refused', { Mounts: [mount] }), /^400 .* bind source path does not exist/)
    assert.equal(await containers(), 0)
  })

  test('what is another thing at the start is asked about again', async () => {
    const [path, away] = [join(place, 'theirs/turning'), join(place, 'theirs/away')]
    mkdirSync(path)
    chownSync(path, owner.uid, owner.gid)
    writeFileSync(join(path, 'file'), 'turning\n')
    assert.equal(await createAs(owner, 'turning', bind('theirs/turning')), '201')
    renameSync(path, away)
    symlinkSync(join(place, 'secret'), path)
    // Whoever starts it: what counts is who asked for the mount.
    for (const user of [owner, root]) assert.equal(await startAs(user, 'turning'), refusal('theirs/turning'))
    await engine.end()
    await engine.begin(...settings)
    assert.equal(await startAs(owner, 'turning'), refusal('theirs/turning'))
    rmSync(path)
    renameSync(away, path)
    assert.equal(await startAs(owner, 'turning'), '204')
    await engine.call('POST', '/containers/turning/wait')
    assert.equal(unframe((await engine.call('GET', '/containers/turning/logs?stdout=1')).body).stdout, 'turning\n')
    assert.equal((await engine.call('DELETE', '/containers/turning')).status, 204)
  })

  test('volumes show no more than binds do', async () => {
    const volume = (options: object) => ({ Name: 'shows', DriverOpts: options })
    const bound = (path: string) => ({ type: 'none', o: 'bind', device: join(place, path) })
    const createVolume = (options: object) => callAs(owner, 'POST', '/volumes/create', volume(options))
    assert.equal(await createVolume(bound('secret')), refusal('secret'))
    assert.match(await createVolume({ type: 'ext4', device: '/dev/loop0' }), /^403 .*"ext4" is mounted for root only/)
    assert.match(
      await createVolume({ type: 'overlay', device: 'overlay', o: `lowerdir=${join(place, 'secret')}:/usr` }),
      /^403 .*"overlay"/,
    )
    const inline = {
      Type: 'volume',
      Source: 'shows',
      Target: '/m',
      VolumeOptions: { DriverConfig: { Name: 'local', Options: bound('secret') } },
    }
    assert.equal(await createAs(owner, 'refused', { Mounts: [inline] }), refusal('secret'))
    assert.deepEqual((await engine.call('GET', '/volumes')).json<{ Volumes: unknown[] }>().Volumes ?? [], [])
    assert.equal(await createVolume(bound('theirs/turning')), '201')
    assert.equal(await shown(owner, { Binds: ['shows:/m'] }), 'turning\n')
    const path = join(place, 'theirs/turning')
    rmSync(path, { recursive: true })
    symlinkSync(join(place, 'secret'), path)
    assert.equal(await createAs(owner, 'turned', { Binds: ['shows:/m'] }), '201')
    assert.equal(await startAs(owner, 'turned'), refusal('theirs/turning'))
    assert.equal((await engine.call('DELETE', '/containers/turned')).status, 204)
    assert.equal((await engine.call('DELETE', '/volumes/shows')).status, 204)
    assert.equal(await createVolume({ type: 'tmpfs', device: 'tmpfs' }), '201')
    assert.equal((await engine.call('DELETE', '/volumes/shows')).status, 204)
  })

  test('--client-mounts any: as root', async () => {
    await engine.end()
    await engine.begin(...settings, '--client-mounts', 'any')
    assert.equal(await shown(owner, bind('secret')), 'secret\n')
  })
})
