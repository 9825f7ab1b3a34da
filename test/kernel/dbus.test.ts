/** The conversation with a real message bus: dbus-daemon(1) on a socket of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import { DBusConnection, DBusError } from '../../engine/cgroup/dbus-connection.ts'

const skip = spawnSync('dbus-daemon', ['--version']).status !== 0 && 'needs dbus-daemon'

const bus = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' }

let place: string
let daemon: ChildProcess
before(async () => {
  if (skip !== false) return
  place = mkdtempSync('/tmp/drydock-dbus-')
  const address = `unix:path=${join(place, 'bus')}`
  daemon = spawn('dbus-daemon', ['--session', '--nofork', '--nopidfile', `--address=${address}`, '--print-address'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(daemon.stdout!, 'data')
})
after(async () => {
  if (daemon === undefined) return
  daemon.kill('SIGTERM')
  await once(daemon, 'exit')
  rmSync(place, { recursive: true })
})

const open = (): DBusConnection => DBusConnection.open(join(place, 'bus'))

test('who we are is known, and names are listed', { skip }, () => {
  using connection = open()
  const [names] = connection.call({ ...bus, member: 'ListNames' })
  assert.ok((names as string[]).includes('org.freedesktop.DBus'))
  const own = (names as string[]).find((name) => name.startsWith(':'))!
  assert.deepEqual(connection.call({ ...bus, member: 'GetConnectionUnixUser', signature: 's', body: [own] }), [
    process.getuid!(),
  ])
})

test('credentials come as a dictionary of variants', { skip }, () => {
  using connection = open()
  const [credentials] = connection.call({
    ...bus,
    member: 'GetConnectionCredentials',
    signature: 's',
    body: ['org.freedesktop.DBus'],
  })
  const found = Object.fromEntries(credentials as [string, { signature: string; value: unknown }][])
  assert.deepEqual(found.ProcessID, { signature: 'u', value: daemon.pid })
})

test('an error has its name and its words', { skip }, () => {
  using connection = open()
  assert.throws(
    () => connection.call({ ...bus, member: 'GetNameOwner', signature: 's', body: ['org.example.Nobody'] }),
    (error) => {
      assert.ok(error instanceof DBusError)
      assert.equal(error.errorName, 'org.freedesktop.DBus.Error.NameHasNoOwner')
      assert.match(error.message, /org\.example\.Nobody/)
      return true
    },
  )
})

test('a signal is waited for, and one that came before its time is not lost', { skip }, () => {
  using listener = open()
  using other = open()
  listener.subscribe("type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged'")
  const request = (name: string): unknown =>
    other.call({ ...bus, member: 'RequestName', signature: 'su', body: [name, 0] })
  assert.deepEqual(request('org.example.One'), [1])
  assert.deepEqual(request('org.example.Two'), [1])
  // The signals are in the socket before the answer to this.
  listener.call({ ...bus, member: 'GetId' })
  for (const name of ['org.example.Two', 'org.example.One']) {
    const { body, sender } = listener.waitForSignal(({ body: [who] }) => who === name, name)
    assert.equal(sender, 'org.freedesktop.DBus')
    assert.equal(body[0], name)
  }
  assert.throws(
    () => listener.waitForSignal(() => false, 'a signal nobody sends', 50),
    /no answer in time: a signal nobody/,
  )
})

test('a long message comes in pieces', { skip }, () => {
  using connection = open()
  const name = `org.example.${'a'.repeat(200)}`
  for (let index = 0; index < 50; index += 1)
    connection.call({ ...bus, member: 'RequestName', signature: 'su', body: [`${name}.n${index}`, 0] })
  const [names] = connection.call({ ...bus, member: 'ListNames' })
  assert.ok((names as string[]).length > 50)
})

test('no bus is unavailable', () => {
  assert.throws(
    () => DBusConnection.open('/no/such/bus'),
    (error) => isKind(error, 'unavailable') && /cannot reach the message bus at \/no\/such\/bus/.test(error.message),
  )
})
