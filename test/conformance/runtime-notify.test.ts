/** $NOTIFY_SOCKET: a container says that it is ready, and who manages the service hears it; for our own runtime and for runc. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { close, PollSet, pollEvents } from '../../engine/kernel/descriptors.ffi.ts'
import { bindDatagrams, receiveDescriptors } from '../../engine/kernel/unix-socket.ffi.ts'
import { inUserNamespace, olderRunc, type RuntimeName } from './config-case.ts'
import { buildOwnRuntime, findProgram, RuntimeBed, reasonAgainst } from './runtime-bed.ts'

const root = process.getuid?.() === 0
const noPython = spawnSync('python3', ['--version']).error !== undefined && 'needs python3'

let own: string
let place: string
before(async () => {
  place = mkdtempSync(join(tmpdir(), 'drydock-own-notify-'))
  own = await buildOwnRuntime(place)
})
after(() => rmSync(place, { recursive: true, force: true }))

/** sd_notify(3) by hand; it claims more than it may, and ends when it is told to. */
const service = `
import os, socket, time
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for text in (b'STATUS=awake', b'READY=1\\nMAINPID=1\\nWATCHDOG=1', b'STOPPING=1'):
    try: out.sendto(text, os.environ['NOTIFY_SOCKET'])
    # Nobody listens any more once it is ready.
    except ConnectionRefusedError: pass
time.sleep(float(os.environ['STAY']))
`

class Manager implements Disposable {
  readonly path: string
  readonly #fd: number
  readonly #heard: string[] = []

  constructor(bed: RuntimeBed) {
    this.path = join(bed.directory, 'manager')
    this.#fd = bindDatagrams(this.path)
  }

  get heard(): string {
    return this.#heard.join('\n')
  }

  /** Listens, and confirms barriers, for as long as the command runs; answers its exit code. */
  async during(command: ChildProcess): Promise<number | null> {
    const ended = once(command, 'exit')
    while (command.exitCode === null && command.signalCode === null) {
      while (this.#speaks()) this.#hear()
      await sleep(5)
    }
    await ended
    while (this.#speaks()) this.#hear()
    return command.exitCode
  }

  #speaks(): boolean {
    const polls = new PollSet()
    const slot = polls.add(this.#fd, pollEvents.POLLIN)
    polls.wait(0)
    return polls.events(slot) !== 0
  }

  #hear(): void {
    const { data, descriptors } = receiveDescriptors(this.#fd)
    this.#heard.push(data.toString().trim())
    for (const descriptor of descriptors) close(descriptor)
  }

  [Symbol.dispose](): void {
    close(this.#fd)
  }
}

function suite(name: RuntimeName, program: string | undefined): void {
  const barrier = name === 'runc' && olderRunc(2, 'knows no barrier')?.runc !== undefined ? '' : '\nBARRIER=1'
  const newBed = (): RuntimeBed => new RuntimeBed(name === 'drydock-runtime' ? own : program!)
  const configure = (bed: RuntimeBed, stay: number, user = false): void =>
    bed.configure(['python3', '-c', service], (spec) => {
      spec.process!.env!.push(`STAY=${stay}`)
      if (user) inUserNamespace(spec, bed)
    })

  for (const user of [false, true])
    test(`create, start: start ends when the container is ready${user ? ', in a user namespace' : ''}`, async () => {
      using bed = newBed()
      using manager = new Manager(bed)
      const env = { NOTIFY_SOCKET: manager.path }
      configure(bed, 100, user)
      const words = ['create', '--bundle', bed.bundle, 'a']
      assert.equal(await manager.during(bed.spawn(words, { env, output: 'ignore' })), 0)
      assert.equal(manager.heard, '')
      assert.equal(await manager.during(bed.spawn(['start', 'a'], { env })), 0)
      assert.equal(manager.heard, `READY=1\nMAINPID=${bed.state('a').pid}${barrier}`)
      const environment = readFileSync(`/proc/${bed.state('a').pid}/environ`, 'utf8').split('\0')
      assert.ok(environment.includes('NOTIFY_SOCKET=/run/notify/notify.sock'))
    })

  test('run --detach ends when the container is ready', async () => {
    using bed = newBed()
    using manager = new Manager(bed)
    configure(bed, 100)
    const words = ['run', '--detach', '--bundle', bed.bundle, 'a']
    const command = bed.spawn(words, { env: { NOTIFY_SOCKET: manager.path }, output: 'ignore' })
    assert.equal(await manager.during(command), 0)
    assert.equal(manager.heard, `READY=1\nMAINPID=${bed.state('a').pid}${barrier}`)
  })

  test('run in the foreground is the service itself', async () => {
    using bed = newBed()
    using manager = new Manager(bed)
    configure(bed, 0.5)
    const command = bed.spawn(['run', '--bundle', bed.bundle, 'a'], { env: { NOTIFY_SOCKET: manager.path } })
    assert.equal(await manager.during(command), 0)
    assert.ok(manager.heard.startsWith(`READY=1\nMAINPID=${command.pid}`), manager.heard)
    assert.doesNotMatch(manager.heard, /MAINPID=1$|STATUS|WATCHDOG|STOPPING/m)
  })

  // It takes its own child that nobody has reaped for one that lives.
  const waits = name === 'runc' && 'runc waits for ever'
  test('a container that ends without a word is waited for no longer', { skip: waits }, async () => {
    using bed = newBed()
    using manager = new Manager(bed)
    bed.configure(['sh', '-c', 'test -d /run/notify && test ! -w /run/notify && exit 3'])
    const words = ['run', '--detach', '--bundle', bed.bundle, 'a']
    const command = bed.spawn(words, { env: { NOTIFY_SOCKET: manager.path }, output: 'ignore' })
    assert.equal(await manager.during(command), 0)
    assert.equal(manager.heard, '')
    await bed.until('a', 'stopped')
  })

  test('nobody listens: the container has no socket', () => {
    using bed = newBed()
    bed.configure(['sh', '-c', 'echo "[$NOTIFY_SOCKET]"; ls /run/notify 2>&1 | grep -c notify.sock'])
    assert.equal(bed.run(['run', '--bundle', bed.bundle, 'a']).stdout, '[]\n0\n')
  })

  if (name !== 'drydock-runtime') return
  test('a manager that went away is told of, and the container runs', () => {
    using bed = newBed()
    configure(bed, 0)
    const words = [...bed.global, 'run', '--bundle', bed.bundle, 'a']
    const env = { ...process.env, NOTIFY_SOCKET: join(bed.directory, 'nobody') }
    const { status, stderr } = spawnSync(bed.program, words, { env, encoding: 'utf8' })
    assert.equal(status, 0)
    assert.match(stderr, /level=warning.*\$NOTIFY_SOCKET.*nobody.*ENOENT/)
    const odd = spawnSync(bed.program, words, { env: { ...env, NOTIFY_SOCKET: 'relative' }, encoding: 'utf8' })
    assert.equal(odd.status, 1)
    assert.match(odd.stderr, /NOTIFY_SOCKET.*relative.*neither a path nor an abstract socket/)
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(bed.directory), false)
  })
}

for (const name of ['drydock-runtime', 'runc'] as const)
  describe(name, { skip: (!root && 'needs root') || noPython || reasonAgainst(name) }, () =>
    suite(name, findProgram(name)),
  )
