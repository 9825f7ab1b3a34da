import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { build } from '../../../engine/spec/build.ts'
import { defaults } from '../../../engine/spec/defaults.ts'
import {
  bindMount,
  mountDestination,
  swappedIds,
  tmpfsMount,
  withMounts,
  withSharedMemorySize,
} from '../../../engine/spec/mounts.ts'

const invalid = (pattern: RegExp) => (error: unknown) => isKind(error, 'invalid') && pattern.test(error.message)

test('a destination is absolute, clean and not the root', () => {
  assert.equal(mountDestination('/a//b/../c/'), '/a/c')
  assert.throws(() => mountDestination('a'), invalid(/must be absolute/))
  assert.throws(() => mountDestination('/a/..'), invalid(/destination can't be '\/'/))
  assert.throws(() => mountDestination('/../..'), invalid(/destination can't be '\/'/))
})

test('mounts: outer first, defaults give way, no two at one place', () => {
  const at = (destination: string) => bindMount({ source: '/src', destination })
  const spec = build(defaults(), withMounts([at('/a/b'), at('/a'), at('/dev')]))
  const destinations = spec.mounts?.map((mount) => mount.destination)
  assert.deepEqual(destinations, ['/proc', '/sys', '/sys/fs/cgroup', '/a', '/dev', '/a/b'])
  assert.equal(build(defaults(), withMounts([at('/dev/shm')])).mounts?.length, 7)
  assert.throws(() => build(defaults(), withMounts([at('/a'), at('/a/')])), invalid(/^Duplicate mount point: \/a$/))
})

test('binds: read-only is as deep as the bind, propagation reaches the root', () => {
  const options = (more: object) => bindMount({ source: '/s', destination: '/d', ...more }).options
  assert.deepEqual(options({}), ['rbind', 'rw', 'rprivate'])
  assert.deepEqual(options({ readOnly: true }), ['rbind', 'rro', 'rprivate'])
  assert.deepEqual(options({ readOnly: true, recursiveReadOnly: false }), ['rbind', 'ro', 'rprivate'])
  assert.deepEqual(options({ readOnly: true, recursive: false }), ['bind', 'ro', 'rprivate'])
  assert.throws(() => options({ propagation: 'everywhere' }), invalid(/propagation mode/))
  assert.throws(() => bindMount({ source: 's', destination: '/d' }), invalid(/absolute/))
  const shared = bindMount({ source: '/s', destination: '/d', propagation: 'rshared' })
  assert.equal(build(defaults(), withMounts([shared])).linux?.rootfsPropagation, 'shared')
  const slave = bindMount({ source: '/s', destination: '/d', propagation: 'slave' })
  assert.equal(build(defaults(), withMounts([slave])).linux?.rootfsPropagation, 'rslave')
  assert.equal(build(defaults(), withMounts([])).linux?.rootfsPropagation, undefined)
})

test('swapped ids: every id once on each side, the two exchanged', () => {
  for (const [one, other] of [
    [1000, 0],
    [0, 1],
    [1000, 1001],
    [5, 5],
    [4294967294, 0],
  ] as const) {
    const map = swappedIds(one, other)
    const through = (id: number): number => {
      const hits = map.filter(({ containerID, size }) => id >= containerID && id < containerID + size)
      assert.equal(hits.length, 1, `${id} in ${JSON.stringify(map)}`)
      return (hits[0]?.hostID ?? Number.NaN) + id - (hits[0]?.containerID ?? Number.NaN)
    }
    assert.equal(through(one), other)
    assert.equal(through(other), one)
    for (const id of [2, 999, 1002, 65534, 4294967293]) assert.equal(through(id), id)
    assert.equal(
      map.reduce((sum, { size }) => sum + size, 0),
      4294967295,
    )
  }
})

test('tmpfs: the defaults, then the later word counts', () => {
  assert.deepEqual(tmpfsMount('/t', '').options, ['noexec', 'nosuid', 'nodev', 'rprivate'])
  assert.deepEqual(
    new Set(tmpfsMount('/t', 'exec,size=64m,size=1g,mode=1777').options),
    new Set(['exec', 'nosuid', 'nodev', 'rprivate', 'size=1g', 'mode=1777']),
  )
  for (const bad of ['sizes=1', 'size=x', 'mode=9', 'size', 'exec=1', 'lowerdir=/'])
    assert.throws(() => tmpfsMount('/t', bad), invalid(/invalid tmpfs option/))
})

test('the size of /dev/shm', () => {
  const shm = build(defaults(), withSharedMemorySize(4096)).mounts?.find(
    ({ destination }) => destination === '/dev/shm',
  )
  assert.ok(shm?.options?.includes('size=4096'))
  assert.equal(shm?.options?.filter((option) => option.startsWith('size=')).length, 1)
  assert.throws(() => withSharedMemorySize(-1), invalid(/SHM size/))
})
