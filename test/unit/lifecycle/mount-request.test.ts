import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { mountRequests, parseBind, parseMount } from '../../../engine/lifecycle/mount-request.ts'

const refused = (work: () => unknown, words?: RegExp): void =>
  assert.throws(work, (error) => isKind(error, 'invalid') && (words?.test(error.message) ?? true))

test('binds: a path is a bind, a name a volume, a destination alone an anonymous volume', () => {
  const bind = parseBind('/src/../a:/dst/:ro,rshared,idmap')
  assert.deepEqual(
    [bind.type, bind.source, bind.destination, bind.readOnly, bind.propagation, bind.mapOwner, bind.createSource],
    ['bind', '/a', '/dst', true, 'rshared', true, true],
  )
  const volume = parseBind('data:/dst:nocopy')
  assert.deepEqual([volume.type, volume.source, volume.noCopy, volume.createSource], ['volume', 'data', true, false])
  assert.deepEqual([parseBind('/dst').type, parseBind('/dst').source], ['volume', undefined])
})

test('binds that make no sense are refused', () => {
  for (const bad of [
    '',
    ':/a',
    '/a:',
    '/a:/b:',
    '/a:/b:ro:x',
    '/a:ro',
    '/a:relative',
    '/a:/',
    '/a:/b:nope',
    '/a:/b:ro,rw',
    '/a:/b:nocopy',
    'v:/b:rshared',
    'v:/b:idmap',
  ])
    refused(() => parseBind(bad))
})

test('mounts: bind needs an absolute source and takes no options of volumes', () => {
  refused(() => parseMount({ Type: 'bind', Source: 'x', Target: '/t' }), /must be absolute/)
  refused(() => parseMount({ Type: 'bind', Target: '/t' }), /Source must not be empty/)
  refused(() => parseMount({ Type: 'volume', Target: '' }), /Target must not be empty/)
  refused(() => parseMount({ Type: 'bind', Source: '/x', Target: '/t', VolumeOptions: {} }))
  refused(() => parseMount({ Type: 'volume', Target: '/t', BindOptions: {} }))
  assert.equal(parseMount({ Type: 'bind', Source: '/x', Target: '/t' }).createSource, false)
  const created = { Type: 'bind', Source: '/x', Target: '/t', BindOptions: { CreateMountpoint: true } } as const
  assert.equal(parseMount(created).createSource, true)
})

test('one place is mounted once; image volumes and inherited mounts yield', () => {
  refused(() => mountRequests({}, { Binds: ['/a:/x', '/b:/x'] }, []), /Duplicate mount point: \/x/)
  refused(() => mountRequests({}, { Binds: ['/a:/x'], Tmpfs: { '/x/': '' } }, []), /Duplicate mount point: \/x/)
  const inherited = {
    Type: 'volume',
    Name: 'old',
    Source: '/s',
    Destination: '/x',
    Mode: '',
    RW: true,
    Propagation: '',
  } as const
  const requests = mountRequests(
    { Volumes: { '/x': {}, '/y': {}, '/z': {} } },
    { Binds: ['/a:/x'], Tmpfs: { '/z': '' } },
    [inherited],
  )
  assert.deepEqual(
    requests.map(({ destination, source }) => [destination, source]),
    [
      ['/x', '/a'],
      ['/y', undefined],
    ],
  )
})
