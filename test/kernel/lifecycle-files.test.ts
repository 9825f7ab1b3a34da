/** What a container sees on its disk: volumes, binds, tmpfs; and what others see of it: cp, diff, export. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { extract, pack } from 'tar-stream'
import { isKind } from '../../engine/base/errors.ts'
import { Bed, cgroupParent, collect, needsRoot as skip } from './lifecycle-bed.ts'

const bed = new Bed()
before(async () => {
  if (skip === false) await bed.open()
})
after(async () => {
  if (skip === false) await bed.close()
})

const host = (more: object) => ({ hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, ...more } })

/** Names to contents. */
async function untar(archive: Readable): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for await (const entry of archive.pipe(extract()))
    found[entry.header.name] = Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>)).toString()
  return found
}

function tar(files: Record<string, string>): Readable {
  const archive = pack()
  for (const [name, text] of Object.entries(files)) archive.entry({ name, uid: 7, gid: 8 }, text)
  archive.finalize()
  return Readable.from(archive)
}

test('-v makes a missing directory, as root; --mount refuses it', { skip }, async () => {
  const missing = join(bed.base, 'missing/deep')
  await assert.rejects(
    bed.create(['true'], host({ Mounts: [{ Type: 'bind', Source: missing, Target: '/x' }] })),
    (error) => isKind(error, 'invalid') && error.message.endsWith(`bind source path does not exist: ${missing}`),
  )
  const { code } = await bed.run('echo in > /x/file', host({ Binds: [`${missing}:/x`] }))
  assert.equal(code, 0)
  assert.equal(readFileSync(join(missing, 'file'), 'utf8'), 'in\n')
  assert.equal(statSync(missing).uid, 0)
})

test('a read-only bind cannot be written, also below', { skip }, async () => {
  const source = join(bed.base, 'readonly')
  mkdirSync(source)
  const { out } = await bed.run('touch /x/file 2>/dev/null || echo refused', host({ Binds: [`${source}:/x:ro`] }))
  assert.equal(out, 'refused\n')
})

test("idmap: the owner's files are the user's inside, and the user's are the owner's outside", { skip }, async () => {
  const source = join(bed.base, 'owned')
  mkdirSync(source)
  writeFileSync(join(source, 'mine'), '')
  chownSync(source, 1234, 1234)
  chownSync(join(source, 'mine'), 1234, 1234)
  const { out, code } = await bed.run('stat -c %u:%g /x /x/mine; touch /x/new', host({ Binds: [`${source}:/x:idmap`] }))
  assert.equal(code, 0)
  assert.equal(out, '0:0\n0:0\n')
  const { uid, gid } = statSync(join(source, 'new'))
  assert.deepEqual([uid, gid], [1234, 1234])
})

test('a named volume outlives its containers, and begins with what the image has there', { skip }, async () => {
  const binds = host({ Binds: ['kept:/etc/ssl'] })
  const first = await bed.run('ls /etc/ssl; stat -c %a /etc/ssl; echo more > /etc/ssl/more', binds)
  assert.match(first.out, /certs/)
  const second = await bed.run('cat /x/more', host({ Binds: ['kept:/x'] }))
  assert.equal(second.out, 'more\n')
  await bed.containers.remove(first.id, { force: false, volumes: true })
  assert.equal(bed.volumes.get('kept').name, 'kept')
  const empty = await bed.run('ls /etc/ssl', host({ Binds: ['bare:/etc/ssl:nocopy'] }))
  assert.equal(empty.out, '')
})

test('--volumes-from shares what another has; what one asks for oneself wins', { skip }, async () => {
  const first = await bed.run('echo shared > /v/file', host({ Binds: ['given:/v'] }))
  const second = await bed.run(
    'cat /v/file; touch /v/no 2>/dev/null || echo ro',
    host({ VolumesFrom: [`${first.id}:ro`] }),
  )
  assert.equal(second.out, 'shared\nro\n')
})

test('tmpfs: its options hold, and nothing of it is left', { skip }, async () => {
  const { out } = await bed.run(
    'stat -f -c %T /t; stat -c %a /t; grep " /t " /proc/mounts | cut -d" " -f4',
    host({ Tmpfs: { '/t': 'size=1m,mode=700' } }),
  )
  assert.match(out, /^tmpfs\n700\n/)
  for (const option of ['nosuid', 'nodev', 'noexec', 'size=1024k']) assert.ok(out.includes(option), option)
})

test('volume options: a tmpfs of its own size, mounted in the container only', { skip }, async () => {
  await bed.volumes.create({ name: 'quick', options: { type: 'tmpfs', device: 'tmpfs', o: 'size=2m' } })
  const { out, code } = await bed.run('grep " /q " /proc/mounts', host({ Binds: ['quick:/q'] }))
  assert.equal(code, 0)
  assert.match(out, /size=2048k/)
})

test('a read-only root still lets volumes be written', { skip }, async () => {
  const { out } = await bed.run(
    'touch /x 2>/dev/null || echo ro; touch /v/x && echo rw; touch /dev/shm/x && echo shm',
    host({ ReadonlyRootfs: true, Binds: ['writable:/v'] }),
  )
  assert.equal(out, 'ro\nrw\nshm\n')
})

test('diff tells what was written, and nothing that the engine made', { skip }, async () => {
  const { id } = await bed.run('echo a > /etc/new; rm /etc/passwd; mkdir /srv/d; touch /srv/d/f')
  const changes = (await bed.containers.changes(id)).map(({ Path, Kind }) => `${'CAD'[Kind]} ${Path}`).sort()
  assert.deepEqual(changes, ['A /etc/new', 'A /srv/d', 'A /srv/d/f', 'C /etc', 'C /srv', 'D /etc/passwd'])
})

test('cp out and in, running and stopped, root and volume', { skip }, async () => {
  const id = await bed.create(['sleep', '1000'], host({ Binds: ['copied:/v'] }))
  for (const running of [false, true]) {
    if (running) await bed.containers.start(id)
    for (const directory of ['/srv', '/v']) {
      await bed.containers.writeArchive(id, directory, tar({ 'a.txt': `${running}` }), {
        noOverwriteDirNonDir: false,
        copyUidGid: false,
      })
      const { stat, archive } = await bed.containers.readArchive(id, `${directory}/a.txt`)
      assert.deepEqual(await untar(archive), { 'a.txt': `${running}` })
      assert.deepEqual([stat.name, stat.size], ['a.txt', String(running).length])
    }
  }
  assert.equal(readFileSync(join(bed.volumes.get('copied').mountpoint, 'a.txt'), 'utf8'), 'true')
  assert.equal(statSync(join(bed.volumes.get('copied').mountpoint, 'a.txt')).uid, 7)
  await bed.containers.remove(id, { force: true, volumes: false })
})

test('cp of a stopped container: links lead into its volumes and out of them', { skip }, async () => {
  const script =
    'ln -s /v/deep /srv/in; mkdir /v/deep; echo kept > /v/deep/file; ln -s /srv/own /v/out; echo own > /srv/own'
  const { id } = await bed.run(script, host({ Binds: ['through:/v'] }))
  const read = async (path: string) => untar((await bed.containers.readArchive(id, path)).archive)
  assert.deepEqual(await read('/srv/in/file'), { file: 'kept\n' })
  assert.equal((await bed.containers.statPath(id, '/v/out')).linkTarget, '/srv/own')
  const options = { noOverwriteDirNonDir: false, copyUidGid: false }
  await bed.containers.writeArchive(id, '/srv/in', tar({ more: 'written' }), options)
  assert.equal(readFileSync(join(bed.volumes.get('through').mountpoint, 'deep/more'), 'utf8'), 'written')
  await bed.containers.remove(id, { force: true, volumes: false })
})

test('cp: links are the container’s own, wherever they say they lead', { skip }, async () => {
  const secret = join(bed.base, 'secret')
  writeFileSync(secret, 'of the host')
  const { id } = await bed.run(`ln -s ${bed.base} /srv/out; ln -s /etc/passwd /srv/in`, host({ Binds: ['linked:/v'] }))
  symlinkSync(bed.base, join(bed.volumes.get('linked').mountpoint, 'out'))
  for (const path of ['/srv/out/secret', '/v/out/secret', `/srv/../..${secret}`])
    await assert.rejects(
      bed.containers.readArchive(id, path),
      (error) => isKind(error, 'not-found') && error.message === `Could not find the file ${path} in container ${id}`,
    )
  const stat = await bed.containers.statPath(id, '/srv/in')
  assert.equal(stat.linkTarget, '/etc/passwd')
  await assert.rejects(
    bed.containers.writeArchive(id, '/srv/out', tar({ x: 'y' }), { noOverwriteDirNonDir: false, copyUidGid: false }),
    (error) => isKind(error, 'not-found'),
  )
  assert.equal(existsSync(join(bed.base, 'x')), false)
})

test('cp in: not into a file, not where nothing may be written', { skip }, async () => {
  const id = await bed.create(['true'], host({ ReadonlyRootfs: true, Binds: ['locked:/v:ro'] }))
  const write = (path: string): Promise<void> =>
    bed.containers.writeArchive(id, path, tar({ x: 'y' }), { noOverwriteDirNonDir: false, copyUidGid: false })
  await assert.rejects(write('/srv'), /container rootfs is marked read-only/)
  await assert.rejects(write('/v'), /mounted volume is marked read-only/)
  const open = await bed.create(['true'])
  await assert.rejects(
    bed.containers.writeArchive(open, '/etc/passwd', tar({ x: 'y' }), {
      noOverwriteDirNonDir: false,
      copyUidGid: false,
    }),
    /extraction point is not a directory/,
  )
})

test('export has the root as it is, without the kernel’s file systems', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'echo mark > /srv/mark; echo ready; sleep 1000'])
  await bed.containers.start(id)
  const log = bed.containers.logs(id, { stdout: true, stderr: true, follow: true, timestamps: false, details: false })
  for await (const _line of log) break
  const { archive } = await bed.containers.readArchive(id, '/srv/.')
  assert.equal((await untar(archive))['./mark'], 'mark\n')
  const { sizeRw } = await bed.containers.size(id)
  assert.ok(sizeRw >= 5)
  await bed.containers.remove(id, { force: true, volumes: true })
})

test('the subpath of a volume must exist and stay inside', { skip }, async () => {
  const volume = await bed.volumes.create({ name: 'parts' })
  mkdirSync(join(volume.mountpoint, 'a'))
  writeFileSync(join(volume.mountpoint, 'a/file'), 'part')
  symlinkSync('/etc', join(volume.mountpoint, 'out'))
  const mount = (Subpath: string) =>
    host({ Mounts: [{ Type: 'volume', Source: 'parts', Target: '/p', VolumeOptions: { Subpath } }] })
  assert.equal((await bed.run('cat /p/file', mount('a'))).out, 'part')
  for (const bad of ['none', 'out', '../..', '/etc']) {
    const id = await bed.create(['true'], mount(bad))
    await assert.rejects(bed.containers.start(id))
    assert.equal(bed.containers.get(id).run.state, 'created')
  }
})

test('the files of a directory that only its owner may see come into a volume with their owners', {
  skip,
}, async () => {
  const { id } = await bed.run('true', host({ Binds: ['rooty:/root'] }))
  const mode = statSync(bed.volumes.get('rooty').mountpoint).mode & 0o777
  const inside = await bed.containers.statPath(id, '/root')
  assert.equal(mode, inside.mode & 0o777)
  chmodSync(bed.volumes.get('rooty').mountpoint, 0o700)
})

test('collecting output twice gives the same', { skip }, async () => {
  const { id } = await bed.run('echo once')
  const read = () =>
    collect(bed.containers.logs(id, { stdout: true, stderr: true, follow: false, timestamps: false, details: false }))
  assert.deepEqual(await read(), await read())
})

test('no clean-up failed in any of these', { skip }, () => {
  assert.deepEqual(bed.problems, [])
})
