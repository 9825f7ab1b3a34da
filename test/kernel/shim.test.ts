/** Spawner, shim and runtime on the kernel: what a container's process sees, and what survives a kill. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { Supervisors } from '../../engine/shim/shim.ts'
import { type BundleOptions, makeBundle } from './bundle.ts'
import { collect, ShimBed, script, startSpawner, unframe } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
let supervisors: Supervisors
before(async () => {
  if (skip !== false) return
  bed = await ShimBed.start()
  supervisors = bed.supervisors
})
after(() => bed?.close())

const launch: ShimBed['launch'] = (args, options) => bed.launch(args, options)
const run: ShimBed['run'] = (args, options) => bed.run(args, options)

test('output, exit code and log of a short run', { skip }, async () => {
  const { stdout, stderr, exitCode, log } = await run(script('echo out; echo err >&2; exit 7'))
  assert.equal(stdout, 'out\n')
  assert.equal(stderr, 'err\n')
  assert.equal(exitCode, 7)
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { log: string; stream: string; time: string })
  assert.deepEqual(lines.map(({ log, stream }) => [log, stream]).toSorted(), [
    ['err\n', 'stderr'],
    ['out\n', 'stdout'],
  ])
  assert.match(lines[0]!.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
})

test('the process is alone in its namespaces', { skip }, async () => {
  const { stdout } = await run(
    script('echo $$; hostname; ls /proc | grep -c "^[0-9]"; cat /proc/net/dev | grep -c :; ls /'),
  )
  const [pid, hostname, processes, links, ...root] = stdout.trim().split('\n')
  assert.equal(pid, '1')
  assert.equal(hostname, 'drydock-test')
  assert.ok(Number(processes) <= 4, 'sees other processes')
  assert.equal(links, '1', 'sees other links than lo')
  assert.deepEqual(root.toSorted(), ['bin', 'dev', 'etc', 'lib', 'lib64', 'proc', 'root', 'sbin', 'sys', 'tmp', 'usr'])
})

test('no descriptor of the engine reaches the container', { skip }, async () => {
  const { stdout } = await run(['ls', '/proc/self/fd'])
  // 3 is ls's own, of the directory it lists.
  assert.deepEqual(stdout.trim().split('\n'), ['0', '1', '2', '3'])
})

test('nothing is ignored or blocked for the program', { skip }, async () => {
  const { stdout } = await run(['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'])
  assert.match(stdout, /SigBlk:\s+0+\nSigIgn:\s+0+\n/)
})

test('masked paths are empty, read-only paths refuse writes', { skip }, async () => {
  const { stdout } = await run(
    script('wc -c < /proc/keys; ls /sys/firmware | wc -l; echo x > /proc/sys/kernel/hostname || echo refused'),
  )
  assert.equal(stdout, '0\n0\nrefused\n')
})

test('a terminal is the controlling one, with the size asked for', { skip }, async () => {
  const change: BundleOptions['change'] = (spec) => {
    spec.process!.consoleSize = { height: 33, width: 77 }
  }
  const { stdout } = await run(
    script('tty; stty size; ps -o tty= -p 1 || true; test -c /dev/console && echo console'),
    { terminal: true, change },
  )
  assert.match(stdout, /\/dev\/pts\/0\r\n33 77\r\n/)
  assert.match(stdout, /console/)
})

test('input reaches the process, and ends with the client when it was the only one', { skip }, async () => {
  const { bundle, shim } = await launch(['cat'], { openStdin: true, stdinOnce: true })
  using _bundle = bundle
  await shim.create()
  const stream = await shim.attach({ stdin: true, stdout: true, stderr: true })
  await shim.start()
  const text = 'line\n'.repeat(50_000)
  stream.end(text)
  assert.equal(unframe(await collect(stream)).stdout, text)
  assert.equal((await shim.exited).exitCode, 0)
  await shim.release()
})

test('words of Docker for a program that is not there, not executable, a directory', { skip }, async () => {
  for (const [name, words] of [
    ['no-such-program', 'exec: "no-such-program": executable file not found in $PATH'],
    ['/etc/passwd', 'exec: "/etc/passwd": permission denied'],
    ['/etc', 'exec: "/etc": is a directory'],
    ['/no/such', 'exec: "/no/such": stat /no/such: no such file or directory'],
  ] as const) {
    const { bundle, shim } = await launch([name])
    using _bundle = bundle
    await assert.rejects(shim.create(), { message: words })
    assert.ok(!existsSync(`/sys/fs/cgroup/memory${bundle.cgroup}`), 'the cgroup is left behind')
  }
})

test('exec: exit code, output, its own terminal, and the container’s namespaces', { skip }, async () => {
  const { bundle, shim } = await launch(['sleep', '60'])
  using _bundle = bundle
  await shim.create()
  await shim.start()
  const process = {
    user: { uid: 65534, gid: 65534 },
    args: script('id -u; hostname; echo $FOO; exit 9'),
    env: ['PATH=/usr/bin', 'FOO=bar'],
    cwd: '/',
  }
  const attached = { stdin: false, stdout: true, stderr: true }
  const one = await shim.execAttached({ execId: 'one', openStdin: false, process }, attached)
  assert.equal(unframe(await collect(one.stream)).stdout, '65534\ndrydock-test\nbar\n')
  assert.equal((await shim.execExited('one')).exitCode, 9)

  const two = {
    execId: 'two',
    openStdin: true,
    process: { ...process, args: script('read x; echo got:$x; tty'), terminal: true },
  }
  const { stream: terminal } = await shim.execAttached(two, { ...attached, stdin: true })
  terminal.write('hello\n')
  assert.match((await collect(terminal)).toString(), /got:hello\r\n\/dev\/pts\/0/)
  await assert.rejects(
    shim.execAttached({ execId: 'three', openStdin: false, process: { ...process, args: ['nope'] } }, attached),
    /executable file not found/,
  )
  // A process that is born frozen gets nowhere, and the supervisor would wait for it.
  await shim.pause()
  await assert.rejects(shim.exec({ execId: 'four', openStdin: false, process }), /is paused/)
  await shim.resume()
  await shim.killAll()
  assert.equal((await shim.exited).exitCode, 137)
  await shim.release()
})

test('the kernel kills at the memory limit, and the exit says so', { skip }, async () => {
  const change: BundleOptions['change'] = (spec) => {
    spec.linux!.resources = { memory: { limit: 24 << 20, swap: 24 << 20 } }
  }
  const { bundle, shim } = await launch(['tail', '/dev/zero'], { change })
  using _bundle = bundle
  await shim.create()
  await shim.start()
  const exit = await shim.exited
  assert.equal(exit.exitCode, 137)
  assert.equal(exit.oomKilled, true)
  await shim.release()
})

test('a container outlives spawner and daemon, is found again, and its end is not missed', { skip }, async () => {
  using bundle = makeBundle(script('echo before; sleep 0.5; echo after; exit 5'))
  const first = await startSpawner()
  const shim = await first.launch(bundle.directory)
  await shim.create()
  await shim.start()
  await first.close()
  const second = await startSpawner()
  try {
    const found = await second.find(bundle.directory)
    assert.ok(found !== undefined, 'the shim is not found')
    assert.equal(found.pid, shim.pid)
    assert.equal((await found.exited).exitCode, 5)
    await found.release()
    assert.deepEqual(second.lastExit(bundle.directory)?.exitCode, 5)
  } finally {
    await second.close()
  }
  const log = readFileSync(bundle.logPath, 'utf8').trim().split('\n')
  assert.deepEqual(
    log.map((line) => (JSON.parse(line) as { log: string }).log),
    ['before\n', 'after\n'],
  )
})

test('when a shim is killed its container goes with it, and the daemon is told', { skip }, async () => {
  const { bundle, shim } = await launch(['sleep', '1000'])
  using _bundle = bundle
  await shim.create()
  await shim.start()
  const containerPid = shim.containerPid
  process.kill(shim.pid, 'SIGKILL')
  const exit = await shim.exited
  assert.equal(exit.shimLost, true)
  for (let attempt = 0; existsSync(`/proc/${containerPid}`) && attempt < 100; attempt += 1) {
    if (readFileSync(`/proc/${containerPid}/stat`, 'utf8').includes(') Z ')) break
    await sleep(20)
  }
  const group = detectCgroups().group(bundle.cgroup)
  assert.deepEqual(group.processes(), [])
  group.remove()
})

test('while its last output is on its way a container takes neither signals nor execs', { skip }, async () => {
  const { bundle, shim } = await launch(['sleep', '1000'])
  using _bundle = bundle
  await shim.create()
  await shim.start()
  // As a process outside may have it: the supervisor waits for the end of the output.
  const held = openSync(`/proc/${shim.containerPid}/fd/1`, 'w')
  try {
    process.kill(shim.containerPid, 'SIGKILL')
    while (existsSync(`/proc/${shim.containerPid}`)) await sleep(5)
    await assert.rejects(shim.kill(15), /^EngineError: process already finished$/)
    const late = { user: { uid: 0, gid: 0 }, args: ['true'], env: [], cwd: '/' }
    await assert.rejects(
      shim.exec({ execId: 'late', openStdin: false, process: late }),
      /^EngineError: container \S+ is not running$/,
    )
  } finally {
    closeSync(held)
  }
  assert.equal((await shim.exited).exitCode, 137)
})

test('the log rotates by size and keeps whole lines', { skip }, async () => {
  const bundle = makeBundle(script('for i in $(seq 1 2000); do echo "line $i of the log"; done'), {
    log: { maxSize: 20_000, maxFile: 4 },
  })
  using _bundle = bundle
  const shim = await supervisors.launch(bundle.directory)
  await shim.create()
  await shim.start()
  await shim.exited
  await shim.release()
  const files = readdirSync(bundle.base).filter((name) => name.startsWith('json.log'))
  assert.deepEqual(files.toSorted(), ['json.log', 'json.log.1', 'json.log.2', 'json.log.3'])
  const newest = ['json.log.3', 'json.log.2', 'json.log.1', 'json.log'].flatMap((name) =>
    readFileSync(`${bundle.base}/${name}`, 'utf8').trim().split('\n'),
  )
  const numbers = newest.map((line) => Number(/line (\d+)/.exec((JSON.parse(line) as { log: string }).log)![1]))
  assert.equal(numbers.at(-1), 2000)
  assert.ok(
    numbers.every((number, index) => index === 0 || number === numbers[index - 1]! + 1),
    'a line is lost or doubled',
  )
})

test('the program behind /proc/self/exe cannot be overwritten from inside (CVE-2019-5736)', { skip }, async () => {
  const attack = mkdtempSync('/var/tmp/drydock-attack-')
  using _attack = { [Symbol.dispose]: () => rmSync(attack, { recursive: true }) }
  // Executed by the engine, the kernel takes the interpreter from the process that executes: the engine's own.
  writeFileSync(`${attack}/bait.cjs`, '#!/proc/self/exe\nsetTimeout(() => {}, 20_000)\n', { mode: 0o755 })
  // The container's own process takes hold of that program.
  const attacker = [
    'for i in $(seq 100); do pid=$(pgrep -f [b]ait.cjs) && break; sleep 0.05; done',
    'exec 3</proc/$pid/exe || exit 3',
    // access(2) answers for the mount: writing itself is refused as long as any engine runs the file (ETXTBSY).
    'kill -9 $pid; [ -w /proc/self/fd/3 ] && echo writable || echo sealed',
  ].join('\n')
  const change: BundleOptions['change'] = (spec) => {
    spec.mounts!.push({ destination: '/attack', type: 'bind', source: attack, options: ['bind', 'ro'] })
  }
  const { bundle, shim } = await launch(script(attacker), { change })
  using _bundle = bundle
  await shim.create()
  const output = collect(await shim.attach({ stdin: false, stdout: true, stderr: true }))
  await shim.start()
  const bait = { user: { uid: 0, gid: 0 }, args: ['/attack/bait.cjs'], env: ['PATH=/usr/bin'], cwd: '/' }
  await shim.exec({ execId: 'bait', openStdin: false, process: bait })
  await shim.exited
  const { stdout, stderr } = unframe(await output)
  await shim.release()
  assert.deepEqual({ stdout, stderr }, { stdout: 'sealed\n', stderr: '' })
})

test('in a user namespace root inside is nobody outside', { skip }, async () => {
  const change: BundleOptions['change'] = (spec) => {
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
    spec.linux!.namespaces!.push({ type: 'user' })
    spec.linux!.uidMappings = ids
    spec.linux!.gidMappings = ids
  }
  const options = { change, openStdin: true, stdinOnce: true }
  const bundle = makeBundle(script('id -u; cat /proc/self/uid_map; read line'), options)
  using _bundle = bundle
  // Who maps the ids also makes the tree theirs: here the writable parts, and the way to them.
  chmodSync(bundle.base, 0o755)
  for (const part of ['root', 'usr'])
    for (const name of ['upper', 'work']) chownSync(join(bundle.base, part, name), 100_000, 100_000)
  const shim = await supervisors.launch(bundle.directory)
  const { pid } = await shim.create()
  const stream = await shim.attach({ stdin: true, stdout: true, stderr: true })
  await shim.start()
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Uid:\s+100000\s/m)
  stream.end('go on\n')
  const { stdout, stderr } = unframe(await collect(stream))
  assert.match(stdout, /^0\n\s+0\s+100000\s+65536\n$/, stderr)
  await shim.exited
  await shim.release()
})

test('a seccomp filter holds, with and without new privileges', { skip }, async () => {
  for (const noNewPrivileges of [true, false]) {
    const change: BundleOptions['change'] = (spec) => {
      spec.process!.noNewPrivileges = noNewPrivileges
      spec.linux!.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'],
        syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
      }
    }
    const { stdout, stderr, exitCode } = await run(script('grep Seccomp: /proc/self/status; mkdir /tmp/x'), { change })
    assert.match(stdout, /Seccomp:\s+2/)
    assert.match(stderr, /Operation not permitted/)
    assert.equal(exitCode, 1)
  }
})

test('ten supervisors at once', { skip }, async () => {
  const results = await Promise.all(
    Array.from({ length: 10 }, (_, index) => run(script(`echo ${index}; exit ${index}`))),
  )
  assert.deepEqual(
    results.map(({ exitCode }) => exitCode),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  assert.deepEqual(
    results.map(({ stdout }) => stdout.trim()),
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  )
})
