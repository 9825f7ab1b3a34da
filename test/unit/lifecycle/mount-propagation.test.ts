import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPropagation } from '../../../engine/lifecycle/mount-propagation.ts'

const mountinfo = [
  '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '30 22 0:30 / /srv rw shared:1 - tmpfs x rw',
  '31 30 0:31 / /srv/own rw - tmpfs y rw',
  '32 22 0:32 / /mnt/with\\040blank rw master:1 - tmpfs z rw',
  '33 22 0:33 / /over rw - tmpfs a rw',
  '34 33 0:34 / /over rw shared:2 - tmpfs b rw',
  '',
].join('\n')

for (const [source, propagation] of [
  ['/srv/data', 'rshared'],
  ['/srv', 'rslave'],
  ['/mnt/with blank/x', 'slave'],
  ['/etc', 'rprivate'],
  ['/etc', ''],
  ['/over/x', 'shared'],
] as const)
  test(`${propagation || 'nothing'} on ${source}`, () => checkPropagation(source, propagation, mountinfo))

for (const [source, propagation, sentence] of [
  ['/etc', 'rshared', 'path /etc is mounted on / but it is not a shared mount'],
  ['/srv/own/x', 'shared', 'path /srv/own/x is mounted on /srv/own but it is not a shared mount'],
  ['/mnt/with blank', 'rshared', 'path /mnt/with blank is mounted on /mnt/with blank but it is not a shared mount'],
  ['/srvx', 'rslave', 'path /srvx is mounted on / but it is not a shared or slave mount'],
] as const)
  test(`${propagation} on ${source} is refused`, () =>
    assert.throws(() => checkPropagation(source, propagation, mountinfo), { kind: 'invalid', message: sentence }))
