import assert from 'node:assert/strict'
import { test } from 'node:test'
import { daemonWords, unitFiles } from '../../../engine/cli/setup-service.ts'

const settings = {
  user: 1000,
  group: 27,
  clientMounts: 'any',
  socket: '/run/drydock/docker.sock',
  root: '/var/lib/drydock',
  execRoot: '/run/drydock',
} as const

test('the service runs the current version with its directories, and lets containers live', () => {
  const unit = unitFiles('/opt/drydock', settings)['drydock.service'] ?? ''
  assert.match(
    unit,
    /^ExecStart=\/opt\/drydock\/current\/bin\/node --max-semi-space-size=1 --optimize-for-size \/opt\/drydock\/current\/main\.js engine --root \/var\/lib\/drydock /m,
  )
  assert.match(unit, /^Environment=MALLOC_ARENA_MAX=1$/m)
  assert.match(unit, /^KillMode=process$/m)
  assert.match(unit, /^Delegate=yes\nDelegateSubgroup=\w+$/m)
})

test('the socket belongs to the user it was set up for', () => {
  const unit = unitFiles('/opt/drydock', settings)['drydock.socket'] ?? ''
  assert.match(unit, /^ListenStream=\/run\/drydock\/docker\.sock$/m)
  assert.match(unit, /^SocketUser=1000$/m)
  assert.match(unit, /^SocketGroup=27$/m)
  assert.match(unit, /^SocketMode=0660$/m)
})

test('a path can put nothing of its own into a unit file', () => {
  const root = '/srv/a b "c" \\d %n $HOME'
  const unit = unitFiles('/opt/drydock', { ...settings, root })['drydock.service'] ?? ''
  assert.ok(unit.includes('--root "/srv/a b \\"c\\" \\\\d %%n $$HOME" --exec-root'), unit)
})

test('the words of the daemon name each setting once', () => {
  const words = daemonWords('/opt/drydock', settings)
  assert.deepEqual(words.slice(4), [
    'engine',
    '--root',
    '/var/lib/drydock',
    '--exec-root',
    '/run/drydock',
    '--socket',
    '/run/drydock/docker.sock',
    '--user',
    '1000',
    '--group',
    '27',
    '--client-mounts',
    'any',
  ])
  assert.deepEqual(daemonWords('/opt/drydock', { ...settings, usernsRemap: 'ann:1000' }).slice(-2), [
    '--userns-remap',
    'ann:1000',
  ])
})
