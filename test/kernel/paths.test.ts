import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import * as paths from '../../engine/kernel/paths.ffi.ts'

const options = { skip: process.getuid?.() === 0 ? false : 'needs root' }
const { openFlags, resolveFlags } = paths
const errno =
  (...codes: string[]) =>
  (error: unknown) =>
    isErrno(error, ...codes)

class Place implements Disposable {
  readonly path: string
  readonly fd: number

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'drydock-paths-'))
    this.fd = paths.openDirectory(this.path)
  }

  [Symbol.dispose](): void {
    closeSync(this.fd)
    rmSync(this.path, { recursive: true })
  }
}

test('openat2 keeps to its directory as it is told', options, () => {
  using place = new Place()
  mkdirSync(join(place.path, 'etc'))
  writeFileSync(join(place.path, 'etc/passwd'), 'inside')
  symlinkSync('/etc/passwd', join(place.path, 'absolute'))
  symlinkSync('etc/passwd', join(place.path, 'relative'))
  const open = (name: string, resolve: number): string => {
    const fd = paths.openAt(place.fd, name, { flags: openFlags.O_RDONLY, resolve })
    try {
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  }
  assert.equal(open('absolute', resolveFlags.RESOLVE_IN_ROOT), 'inside')
  assert.equal(open('../../etc/passwd', resolveFlags.RESOLVE_IN_ROOT), 'inside')
  assert.equal(open('relative', resolveFlags.RESOLVE_BENEATH), 'inside')
  assert.throws(() => open('absolute', resolveFlags.RESOLVE_BENEATH), errno('EXDEV'))
  assert.throws(() => open('../x', resolveFlags.RESOLVE_BENEATH), errno('EXDEV'))
  assert.throws(() => open('relative', resolveFlags.RESOLVE_NO_SYMLINKS), errno('ELOOP'))
  assert.throws(() => open('none', resolveFlags.RESOLVE_IN_ROOT), { message: 'openat2 "none": ENOENT' })
  assert.ok(paths.tryOpenAt(place.fd, 'none', { flags: 0 }) < 0)
  using proc = { fd: paths.openDirectory('/proc'), [Symbol.dispose]: () => closeSync(proc.fd) }
  assert.throws(
    () => paths.openAt(proc.fd, 'self/root', { flags: 0, resolve: resolveFlags.RESOLVE_NO_MAGICLINKS }),
    errno('ELOOP'),
  )
})

test('descriptors are closed at execve', options, () => {
  using place = new Place()
  const info = readFileSync(`/proc/self/fdinfo/${place.fd}`, 'utf8')
  assert.ok((Number.parseInt(/flags:\s*(\d+)/.exec(info)![1]!, 8) & 0o2000000) !== 0)
})

test('owner, mode with set-id bits, and both times to the nanosecond', options, () => {
  using place = new Place()
  const fd = paths.openAt(place.fd, 'file', {
    flags: openFlags.O_WRONLY | openFlags.O_CREAT | openFlags.O_EXCL,
    mode: 0o600,
  })
  writeSync(fd, 'abc')
  paths.changeOwner(fd, 4_000_000_000, 7)
  paths.changeMode(fd, 0o6711)
  paths.setTimes(fd, { seconds: -5, nanoseconds: 123_456_789 })
  const { mode, uid, gid, size, links, modified } = paths.statusOf(fd)
  closeSync(fd)
  assert.deepEqual(
    { mode, uid, gid, size, links, modified },
    {
      mode: 0o106711,
      uid: 4_000_000_000,
      gid: 7,
      size: 3,
      links: 1,
      modified: { seconds: -5, nanoseconds: 123_456_789 },
    },
  )
  assert.equal(statSync(join(place.path, 'file'), { bigint: true }).atimeNs, -4_876_543_211n)
})

test('a link is acted on itself, never its target', options, () => {
  using place = new Place()
  writeFileSync(join(place.path, 'target'), 'x')
  paths.symlinkAt('target', place.fd, 'link')
  paths.changeOwnerAt(place.fd, 'link', 5, 6)
  paths.setTimesAt(place.fd, 'link', { seconds: 9, nanoseconds: 8 })
  paths.setAttributeAt(place.fd, 'link', 'trusted.test', Buffer.from([0, 255]))
  paths.linkAt(place.fd, 'link', place.fd, 'second')
  const link = paths.statusAt(place.fd, 'link')!
  assert.deepEqual(
    [link.mode, link.uid, link.gid, link.links, link.modified],
    [0o120777, 5, 6, 2, { seconds: 9, nanoseconds: 8 }],
  )
  assert.deepEqual(paths.attributesAt(place.fd, 'link'), ['trusted.test'])
  assert.deepEqual(paths.attributeAt(place.fd, 'second', 'trusted.test'), Buffer.from([0, 255]))
  assert.equal(paths.attributeAt(place.fd, 'target', 'trusted.test'), undefined)
  assert.equal(paths.readLinkAt(place.fd, 'link').toString(), 'target')
  const held = paths.openAt(place.fd, 'link', { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW })
  assert.equal(paths.readLinkAt(held, '').toString(), 'target')
  assert.deepEqual(paths.attributeAt(held, '', 'trusted.test'), Buffer.from([0, 255]))
  closeSync(held)
  assert.deepEqual([paths.statusAt(place.fd, 'target')!.uid, readlinkSync(join(place.path, 'second'))], [0, 'target'])
})

test('attributes of an open file, with O_PATH too', options, () => {
  using place = new Place()
  writeFileSync(join(place.path, 'file'), 'x')
  const open = paths.openAt(place.fd, 'file', { flags: openFlags.O_RDONLY })
  const held = paths.openAt(place.fd, 'file', { flags: openFlags.O_PATH })
  paths.setAttributeAt(open, '', 'user.one', Buffer.from('1'))
  paths.setAttributeAt(held, '', 'user.two', Buffer.alloc(0))
  assert.deepEqual(paths.attributesAt(place.fd, 'file').sort(), ['user.one', 'user.two'])
  assert.equal(paths.attributeAt(held, '', 'user.one')?.toString(), '1')
  assert.equal(paths.attributeAt(held, '', 'user.two')?.length, 0)
  closeSync(open)
  closeSync(held)
  assert.throws(() => paths.setAttributeAt(place.fd, 'none', 'user.x', Buffer.from('1')), errno('ENOENT'))
})

test('devices with large numbers, and modes by O_PATH', options, () => {
  using place = new Place()
  const { S_IFBLK, S_IFIFO } = paths.fileTypes
  paths.makeNodeAt(place.fd, 'device', S_IFBLK | 0o600, 4095, 1_048_575)
  paths.makeNodeAt(place.fd, 'fifo', S_IFIFO | 0o600)
  const { deviceMajor, deviceMinor, mode } = paths.statusAt(place.fd, 'device')!
  assert.deepEqual([deviceMajor, deviceMinor, mode], [4095, 1_048_575, 0o060600])
  const held = paths.openAt(place.fd, 'fifo', { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW })
  paths.changeModeOfPath(held, 0o4642)
  assert.equal(paths.statusOf(held).mode, 0o014642)
  closeSync(held)
})

test('names are bytes', options, () => {
  using place = new Place()
  const name = Buffer.from('caf\xe9\0', 'latin1')
  assert.equal(paths.makeDirectoryAt(place.fd, name, 0o755), true)
  assert.equal(paths.makeDirectoryAt(place.fd, name, 0o755), false)
  assert.deepEqual(readdirSync(place.path, 'latin1'), ['caf\xe9'])
  paths.setAttributeAt(place.fd, name, 'user.x', Buffer.from('1'))
  assert.deepEqual(paths.attributesAt(place.fd, name), ['user.x'])
  assert.throws(
    () => paths.openAt(place.fd, Buffer.from('no\xff\0', 'latin1'), { flags: 0 }),
    /^SyscallError: openat2 "no.": ENOENT$/u,
  )
  paths.renameAt(place.fd, name, place.fd, 'plain')
  assert.equal(paths.unlinkAt(place.fd, 'plain', 'directory'), true)
  assert.equal(paths.unlinkAt(place.fd, 'plain', 'directory'), false)
})

test('removing and renaming say what is in the way', options, () => {
  using place = new Place()
  mkdirSync(join(place.path, 'full/inner'), { recursive: true })
  writeFileSync(join(place.path, 'file'), 'x')
  assert.throws(() => paths.unlinkAt(place.fd, 'full', 'directory'), errno('ENOTEMPTY'))
  assert.throws(() => paths.unlinkAt(place.fd, 'full'), errno('EISDIR'))
  assert.ok(paths.tryUnlinkAt(place.fd, 'full') < 0)
  assert.throws(() => paths.renameAt(place.fd, 'file', place.fd, 'full', { keep: true }), errno('EEXIST'))
  assert.equal(paths.statusAt(place.fd, 'none'), undefined)
  assert.equal(paths.statusAt(place.fd, 'file/none'), undefined)
})

test('a file system is written out', options, async () => {
  using place = new Place()
  await paths.syncFileSystem(place.fd)
  await assert.rejects(paths.syncFileSystem(9999), errno('EIO'))
})
