/** The runtime's command line: the same cases for our own, for runc and for crun where they are installed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { close } from '../../engine/kernel/descriptors.ffi.ts'
import { acceptNext, listen, receiveDescriptors } from '../../engine/kernel/unix-socket.ffi.ts'
import { buildOwnRuntime, findProgram, RuntimeBed, reasonAgainst } from './runtime-bed.ts'

const root = process.getuid?.() === 0
const runtimes = ['drydock-runtime', 'runc', 'crun'] as const
const unified = existsSync('/sys/fs/cgroup/cgroup.controllers') && 'the groups are those of v2'

/** keyctl(2) KEYCTL_GET_KEYRING_ID of the session keyring. */
const sessionKeyring = `import ctypes, os; print(ctypes.CDLL(None).syscall(${process.arch === 'arm64' ? 219 : 250}, 0, -3, 0))`
const askPython = (): string => spawnSync('python3', ['-c', sessionKeyring], { encoding: 'utf8' }).stdout ?? ''
const noKeys = Number(askPython()) > 0 ? false : 'needs python3, and a kernel with keyrings'

let own: string
let place: string
before(async () => {
  place = mkdtempSync(join(tmpdir(), 'drydock-own-runtime-'))
  own = await buildOwnRuntime(place)
})
after(() => rmSync(place, { recursive: true, force: true }))

for (const name of runtimes)
  describe(name, { skip: (!root && 'needs root') || reasonAgainst(name) }, () => suite(name, findProgram(name)))

function suite(name: (typeof runtimes)[number], program: string | undefined): void {
  const withBed = (work: (bed: RuntimeBed) => void | Promise<void>) => async () => {
    using bed = new RuntimeBed(name === 'drydock-runtime' ? own : program!)
    await work(bed)
  }

  test(
    'created, running, stopped, deleted',
    withBed(async (bed) => {
      bed.configure(['sh', '-c', 'echo started > /root/mark; exec sleep 100'])
      assert.equal(bed.create('a', '--pid-file', join(bed.directory, 'pid')).status, 0)
      const created = bed.state('a')
      assert.equal(created.status, 'created')
      assert.equal(readFileSync(join(bed.directory, 'pid'), 'utf8'), String(created.pid))
      assert.equal(created.bundle, bed.bundle)
      const mark = join(bed.bundle, 'rootfs/root/mark')
      assert.throws(() => readFileSync(mark), 'nothing runs before start')
      assert.equal(bed.run(['start', 'a']).status, 0)
      await bed.until('a', 'running')
      assert.notEqual(bed.run(['start', 'a']).status, 0, 'it runs already')
      assert.equal(bed.run(['kill', 'a', 'KILL']).status, 0)
      await bed.until('a', 'stopped')
      assert.equal(readFileSync(mark, 'utf8'), 'started\n')
      assert.equal(bed.state('a').pid, 0)
      assert.match(bed.run(['kill', 'a', '15']).stderr, name === 'crun' ? /No such process/ : /not running/)
      assert.equal(bed.run(['delete', 'a']).status, 0)
      const gone = bed.run(['state', 'a'])
      assert.notEqual(gone.status, 0)
      assert.match(gone.stderr, name === 'crun' ? /No such file/ : /does not exist/)
    }),
  )

  test(
    'run: exit code, streams, input',
    withBed((bed) => {
      bed.configure(['sh', '-c', 'cat; echo error >&2; exit 7'])
      const { status, stdout, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'], { input: 'typed\n' })
      assert.deepEqual([status, stdout, stderr], [7, 'typed\n', 'error\n'])
      assert.equal(bed.run(['list', '-q']).stdout, '', 'nothing is left')
    }),
  )

  test(
    'run: a signal to the command reaches the process, and 128 and its number is the exit code',
    withBed(async (bed) => {
      bed.configure(['sh', '-c', 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.1; done'])
      const child = bed.spawn(['run', '--bundle', bed.bundle, 'a'])
      let said = ''
      child.stdout!.on('data', (data) => {
        said += data
        if (String(data).includes('ready')) child.kill('SIGTERM')
      })
      const [status] = await once(child, 'exit')
      assert.equal(status, 3)
      assert.match(said, /caught/)
      bed.configure(['sh', '-c', 'kill -KILL $$'], (spec) => {
        spec.linux!.namespaces = spec.linux!.namespaces!.filter(({ type }) => type !== 'pid')
      })
      assert.equal(bed.run(['run', '--bundle', bed.bundle, 'b']).status, 137)
    }),
  )

  test(
    'no descriptor but the standard ones, and those that are to be passed on',
    withBed((bed) => {
      bed.configure(['sh', '-c', 'ls /proc/self/fd | tr "\\n" " "'])
      assert.equal(bed.run(['run', '--bundle', bed.bundle, 'a']).stdout, '0 1 2 3 ')
      bed.configure(['sh', '-c', 'cat <&3'])
      writeFileSync(join(bed.directory, 'passed'), 'along')
      const quoted = [bed.program, ...bed.global, 'run', '--preserve-fds', '1', '--bundle', bed.bundle, 'b'].join(' ')
      const shell = spawnSync('sh', ['-c', `exec 3<${bed.directory}/passed; exec ${quoted}`], { encoding: 'utf8' })
      assert.equal(shell.stdout, 'along')
    }),
  )

  test(
    'exec: exit code, environment, working directory, user, terminal in a socket',
    withBed(async (bed) => {
      bed.configure(['sleep', '100'])
      assert.equal(bed.detach('a').status, 0)
      assert.equal(bed.run(['exec', 'a', 'sh', '-c', 'exit 5']).status, 5)
      const options = ['--env', 'NAME=value', '--cwd', '/tmp', '--user', '12:34']
      // What is named is all that it has then.
      if (name === 'crun') options.push('--env', 'PATH=/usr/bin:/bin')
      const script = 'echo $NAME $PWD $(id -u):$(id -g)'
      assert.equal(bed.run(['exec', ...options, 'a', 'sh', '-c', script]).stdout, 'value /tmp 12:34\n')
      const socket = join(bed.directory, 'console')
      const listener = listen(socket, { blocking: true })
      const child = bed.spawn(['exec', '--tty', '--detach', '--console-socket', socket, 'a', 'sh', '-c', 'tty'])
      const connection = acceptNext(listener)
      const [master] = receiveDescriptors(connection).descriptors as [number]
      await once(child, 'exit')
      assert.match(readUntil(master, '\n'), /^\/dev\/pts\/\d+/)
      for (const fd of [master, connection, listener]) close(fd)
      const missing = bed.run(['exec', 'a', 'no-such-program'])
      assert.ok(missing.status! > 0)
      assert.match(missing.stderr, /no-such-program.*executable file not found|not found in \$PATH/)
    }),
  )

  test(
    'list, ps and state agree; a running container is not deleted but by force',
    withBed(async (bed) => {
      bed.configure(['sleep', '100'])
      bed.detach('a')
      const { pid } = bed.state('a')
      const [row] = JSON.parse(bed.run(['list', '--format', 'json']).stdout)
      assert.deepEqual([row.id, row.pid, row.status, row.bundle], ['a', pid, 'running', bed.bundle])
      assert.equal(bed.run(['list', '-q']).stdout, 'a\n')
      assert.deepEqual(JSON.parse(bed.run(['ps', '--format', 'json', 'a']).stdout), [pid])
      assert.match(bed.run(['ps', 'a']).stdout, name === 'crun' ? new RegExp(`^PID\n${pid}\n`) : /sleep 100/)
      assert.notEqual(bed.run(['delete', 'a']).status, 0)
      assert.equal(bed.run(['delete', '--force', 'a']).status, 0)
      assert.equal(bed.run(['list', '-q']).stdout, '')
      assert.equal(bed.run(['delete', '--force', 'a']).status, 0, 'none is there, which is what was wanted')
      assert.notEqual(bed.run(['delete', 'a']).status, 0)
    }),
  )

  test(
    'an identifier is used once, and is no path',
    withBed((bed) => {
      bed.configure(['sleep', '100'])
      assert.equal(bed.create('a').status, 0)
      const log = join(bed.directory, 'log')
      const again = bed.run(['--log', log, '--log-format', 'json', 'create', '--bundle', bed.bundle, 'a'])
      assert.equal(again.status, 1)
      const lines = readFileSync(log, 'utf8').trim().split('\n')
      const last = JSON.parse(lines.at(-1)!)
      assert.equal(last.level, 'error')
      assert.match(last.msg, /exists/)
      if (name !== 'crun') for (const id of ['../a', '..', 'a/b', '']) assert.equal(bed.create(id).status, 1)
    }),
  )

  test(
    'a program that is not there: nothing is left',
    withBed((bed) => {
      bed.configure(['no-such-program'])
      const { status, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
      assert.ok(status! > 0)
      assert.match(stderr, /no-such-program.*not found/)
      assert.equal(bed.run(['list', '-q']).stdout, '')
    }),
  )

  test(
    'paused, it does nothing and takes no exec; resumed, it goes on',
    withBed((bed) => {
      bed.configure(['sleep', '100'])
      bed.detach('a')
      assert.equal(bed.run(['pause', 'a']).status, 0)
      assert.equal(bed.state('a').status, 'paused')
      if (name !== 'crun') assert.match(bed.run(['exec', 'a', 'true']).stderr, /paused/)
      assert.equal(bed.run(['resume', 'a']).status, 0)
      assert.equal(bed.state('a').status, 'running')
      assert.equal(bed.run(['exec', 'a', 'true']).status, 0)
    }),
  )

  test(
    'update: limits in place, from options and as JSON',
    withBed((bed) => {
      bed.configure(['sleep', '100'])
      bed.detach('a')
      assert.equal(bed.run(['update', '--pids-limit', '33', 'a']).status, 0)
      const resources = JSON.stringify({ memory: { limit: 64 * 2 ** 20 } })
      const file = join(bed.directory, 'resources')
      writeFileSync(file, resources)
      assert.equal(bed.run(['update', '--resources', file, 'a']).status, 0)
      // It opens /dev/stdin, which a socket cannot be.
      if (name === 'crun') return
      assert.equal(bed.run(['update', '--resources', '-', 'a'], { input: resources }).status, 0)
      const [line] = bed.run(['events', '--stats', 'a']).stdout.split('\n')
      const { type, id, data } = JSON.parse(line!)
      assert.deepEqual([type, id, data.pids.limit, data.memory.usage.limit], ['stats', 'a', 33, 64 * 2 ** 20])
    }),
  )

  test(
    'the container is in its group in every hierarchy, and so is what is executed in it',
    { skip: name === 'crun' && 'crun stays out of the hierarchy of v2 beside v1' },
    withBed((bed) => {
      bed.configure(['sleep', '100'])
      bed.detach('a')
      const first = readFileSync(`/proc/${bed.state('a').pid}/cgroup`, 'utf8')
      for (const line of first.trim().split('\n'))
        if (!/:(misc|rdma|perf_event)/.test(line)) assert.match(line, /:\/drydock-conformance-\d+\/c$/)
      // `spec` gives a namespace of groups on v2: its root is the container's own.
      const inside = unified === false ? first : '0::/\n'
      assert.equal(bed.run(['exec', 'a', 'cat', '/proc/self/cgroup']).stdout, inside)
      assert.equal(bed.run(['exec', '--cgroup', '/', 'a', 'cat', '/proc/self/cgroup']).stdout, inside)
    }),
  )

  test(
    'exec into a group below the container’s, and into none that is not there or lies outside',
    { skip: name === 'crun' ? 'crun enters it on v2 only' : unified },
    withBed((bed) => {
      bed.configure(['sleep', '100'])
      bed.detach('a')
      const [, group] = /:memory:(.*)/.exec(readFileSync(`/proc/${bed.state('a').pid}/cgroup`, 'utf8'))!
      mkdirSync(`/sys/fs/cgroup/memory${group}/below`)
      const { stdout } = bed.run(['exec', '--cgroup', 'memory:below', 'a', 'cat', '/proc/self/cgroup'])
      assert.match(stdout, /:memory:.*\/c\/below$/m)
      assert.match(stdout, /:pids:.*\/c$/m)
      for (const [asked, words] of [
        ['..', /not a sub cgroup path/],
        ['absent', /absent\/cgroup\.procs: no such file/],
        ['flight:/', /unknown controller flight/],
      ] as const) {
        const refused = bed.run(['exec', '--cgroup', asked, 'a', 'true'])
        assert.notEqual(refused.status, 0)
        assert.match(refused.stderr, words)
      }
    }),
  )

  test(
    'what is executed in a container joins its session keyring, or with --no-new-keyring keeps the caller’s',
    { skip: name === 'crun' ? 'crun gives it another keyring' : noKeys },
    withBed((bed) => {
      bed.configure(['sh', '-c', 'python3 -c "$CODE" > /root/keyring; exec sleep 100'], ({ process }) => {
        process!.env!.push(`CODE=${sessionKeyring}`)
      })
      const caller = askPython()
      const { status, stdout, first } = keyringsOf(bed)
      assert.deepEqual([status, stdout], [0, first])
      assert.notEqual(first, caller)
      bed.run(['delete', '--force', 'a'])
      const kept = keyringsOf(bed, '--no-new-keyring')
      assert.deepEqual([kept.first, kept.stdout], [caller, caller])
    }),
  )

  if (name === 'drydock-runtime') ownCases(withBed)
}

function keyringsOf(bed: RuntimeBed, ...options: string[]): { status: number | null; stdout: string; first: string } {
  const file = join(bed.bundle, 'rootfs/root/keyring')
  rmSync(file, { force: true })
  bed.detach('a', ...options)
  const deadline = Date.now() + 20_000
  while (!existsSync(file) || !readFileSync(file, 'utf8').endsWith('\n'))
    if (Date.now() > deadline) throw new Error('the container told of no keyring')
    else bed.state('a')
  const { status, stdout } = bed.run(['exec', 'a', 'python3', '-c', sessionKeyring])
  return { status, stdout, first: readFileSync(file, 'utf8') }
}

type WithBed = (work: (bed: RuntimeBed) => void | Promise<void>) => () => Promise<void>

function ownCases(withBed: WithBed): void {
  for (const words of [['create'], ['run', '--detach'], ['run']])
    test(
      `killed at any moment, ${words.join(' ')} leaves what delete --force clears`,
      withBed(async (bed) => {
        bed.configure(['sleep', '100'])
        for (let round = 0; round < 12; round += 1) {
          const child = bed.spawn([...words, '--bundle', bed.bundle, 'a'], { output: 'ignore' })
          const ended = once(child, 'exit')
          await sleep(20 + round * 20)
          child.kill('SIGKILL')
          await ended
          const { status, stderr } = bed.run(['delete', '--force', 'a'])
          assert.deepEqual([status, stderr], [0, ''])
          assert.equal(bed.run(['list', '-q']).stdout, '')
        }
        assert.equal(bed.create('a').status, 0, 'its control group is free again')
      }),
    )

  test(
    'a failure names the step of the set-up and the object',
    withBed((bed) => {
      bed.configure(['true'], (spec) => {
        spec.linux!.sysctl = { 'net.ipv4.no_such_setting': '1' }
      })
      const { stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
      assert.match(stderr, /set sysctls|linux\.sysctl/)
      assert.match(stderr, /no_such_setting/)
      assert.match(stderr, /ENOENT|no such/i)
    }),
  )

  test(
    'the program behind /proc/self/exe cannot be written from inside (CVE-2019-5736)',
    withBed((bed) => {
      // Executed again inside, it is the container's to look at: access(2) says what the mount allows, whoever asks.
      const script = 'try { require("fs").accessSync("/proc/self/exe", 2) } catch (e) { console.log(e.code) }'
      bed.configure(['/proc/self/exe', '-e', script])
      const { stdout, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
      assert.deepEqual([stdout, stderr], ['EROFS\n', ''])
    }),
  )

  test(
    'checkpoint and restore say that they are not there',
    withBed((bed) => {
      for (const verb of ['checkpoint', 'restore']) {
        const { status, stderr } = bed.run([verb, 'a'])
        assert.equal(status, 1)
        assert.match(stderr, /not available/)
      }
    }),
  )
}

/** A terminal's other end: blocks until something is said, EIO is its end. */
function readUntil(fd: number, mark: string): string {
  const chunk = Buffer.alloc(256)
  let text = ''
  while (!text.includes(mark)) {
    const count = readSync(fd, chunk)
    if (count === 0) break
    text += chunk.toString('utf8', 0, count)
  }
  return text
}
