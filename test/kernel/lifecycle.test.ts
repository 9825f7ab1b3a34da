/** A container's life over the real layers: start, end, signals, policies, removal. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isKind } from '../../engine/base/errors.ts'
import { never } from '../../engine/base/time.ts'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { Bed, cgroupParent, collect, needsRoot as skip, unframe } from './lifecycle-bed.ts'
import { noPacketFilter } from './packet-filter.ts'

const bed = new Bed()
before(async () => {
  if (skip === false) await bed.open()
})
after(async () => {
  if (skip === false) await bed.close()
})

const bridge = { hostConfig: { NetworkMode: 'bridge', CgroupParent: cgroupParent } }
const eventsOf = (id: string): string[] =>
  bed.events
    .past()
    .filter(({ actor }) => actor.id === id || actor.attributes.container === id)
    .map(({ type, action }) => `${type} ${action}`)

/** Resolves when the container's log has the text. */
async function says(id: string, text: string): Promise<void> {
  const log = bed.containers.logs(id, { stdout: true, stderr: true, follow: true, timestamps: false, details: false })
  let seen = ''
  for await (const chunk of log) {
    seen += (chunk as Buffer).toString()
    if (seen.includes(text)) return
  }
  assert.fail(`the container ended before it said ${JSON.stringify(text)}: ${seen}`)
}

test('output, exit code and state of a short run', { skip }, async () => {
  const { id, code, out, err } = await bed.run('echo out; echo err >&2; exit 3')
  assert.deepEqual([code, out, err], [3, 'out\n', 'err\n'])
  const { run, endpoints } = bed.containers.get(id)
  assert.equal(run.state, 'exited')
  assert.equal(run.exitCode, 3)
  assert.equal(run.pid, 0)
  assert.ok(run.startedAt !== never && run.finishedAt >= run.startedAt)
  assert.deepEqual(endpoints, [])
})

test('events of a run come in the order that clients rely on', { skip: noPacketFilter }, async () => {
  const { id } = await bed.run('true', bridge)
  await bed.containers.remove(id, { force: false, volumes: false })
  assert.deepEqual(eventsOf(id), [
    'container create',
    'container attach',
    'network connect',
    'container start',
    'network disconnect',
    'container die',
    'container destroy',
  ])
})

test('nothing but its snapshot and its directory is left of one that ended', { skip: noPacketFilter }, async () => {
  const { id } = await bed.run('true', bridge)
  // Takes its turn after the end of the container has been dealt with.
  await bed.containers.update(id, {})
  assert.equal(existsSync(join(bed.execRoot, 'containers', id)), false)
  assert.equal(existsSync(`/sys/fs/cgroup/pids${cgroupParent}/${id}`), false)
  assert.deepEqual(bed.networks.members(bed.networks.get('bridge').id), [])
})

test('what the process has: hostname, environment, working directory, user', { skip }, async () => {
  const { out } = await bed.run('hostname; echo $A $HOSTNAME; pwd; id -u; id -g; id -G', {
    config: { Image: 'host', Env: ['A=b'], WorkingDir: '/tmp', User: 'daemon', Hostname: 'web' },
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, GroupAdd: ['audio', '4242'] },
  })
  assert.equal(out, 'web\nb web\n/tmp\n1\n1\n1 29 4242\n')
})

test('stdin goes in, its end is told, and all output comes back', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'cat; echo done'], {
    config: { Image: 'host', OpenStdin: true, StdinOnce: true },
  })
  const stream = await bed.containers.attach(id, { stdin: true, stdout: true, stderr: true, logs: false, stream: true })
  const output = collect(stream)
  stream.write('one\n')
  await bed.containers.start(id)
  stream.end('two\n')
  assert.equal(unframe(await output).out, 'one\ntwo\ndone\n')
})

test('a terminal is raw, has a size, and lets go at ctrl-p ctrl-q', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'stty size; cat'], {
    config: { Image: 'host', Tty: true, OpenStdin: true },
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, ConsoleSize: [33, 77] },
  })
  const stream = await bed.containers.attach(id, { stdin: true, stdout: true, stderr: true, logs: false, stream: true })
  let seen = ''
  stream.on('data', (data) => {
    seen += data
  })
  await bed.containers.start(id)
  while (!seen.includes('33 77\r\n')) await once(stream, 'data')
  stream.write('\x10\x11')
  await once(stream, 'end')
  assert.match(seen, /^33 77\r\n/)
  assert.equal(bed.containers.get(id).run.state, 'running')
  assert.ok(eventsOf(id).includes('container detach'))
  await bed.containers.remove(id, { force: true, volumes: false })
})

test('a program that is not there: 127, and the container as it was', { skip: noPacketFilter }, async () => {
  const id = await bed.create(['no-such-program'], bridge)
  await assert.rejects(
    bed.containers.start(id),
    (error) => isKind(error, 'invalid') && /executable file not found in \$PATH/.test(error.message),
  )
  const { run } = bed.containers.get(id)
  assert.equal(run.state, 'created')
  assert.equal(run.exitCode, 127)
  assert.equal(run.startedAt, never)
  assert.equal(existsSync(join(bed.execRoot, 'containers', id)), false)
  assert.deepEqual(bed.networks.members(bed.networks.get('bridge').id), [])
})

test('a program that cannot be executed: 126', { skip }, async () => {
  const id = await bed.create(['/etc/passwd'])
  await assert.rejects(bed.containers.start(id), /permission denied/)
  assert.equal(bed.containers.get(id).run.exitCode, 126)
})

test('stop sends the signal that the container wants, then SIGKILL', { skip }, async () => {
  const kind = await bed.create(['sh', '-c', 'trap "exit 7" USR1; echo ready; while :; do sleep 0.05; done'], {
    config: { Image: 'host', StopSignal: 'SIGUSR1' },
  })
  await bed.containers.start(kind)
  await says(kind, 'ready')
  await bed.containers.stop(kind, {})
  assert.equal(bed.containers.get(kind).run.exitCode, 7)
  assert.deepEqual(eventsOf(kind).slice(-4), [
    'container kill',
    'network disconnect',
    'container die',
    'container stop',
  ])
  await assert.rejects(bed.containers.stop(kind, {}), (error) => isKind(error, 'not-modified'))

  const stubborn = await bed.create(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'])
  await bed.containers.start(stubborn)
  await says(stubborn, 'ready')
  await bed.containers.stop(stubborn, { timeout: 1 })
  assert.equal(bed.containers.get(stubborn).run.exitCode, 137)
})

test('kill: any signal, by name or number; refusals in words', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'trap "echo got" HUP; echo ready; while :; do sleep 0.05; done'])
  await assert.rejects(bed.containers.kill(id, 'KILL'), (error) => isKind(error, 'conflict'))
  await bed.containers.start(id)
  await says(id, 'ready')
  await assert.rejects(bed.containers.kill(id, 'SIGNOPE'), (error) => isKind(error, 'invalid'))
  await bed.containers.kill(id, 'hup')
  await says(id, 'got')
  await bed.containers.kill(id, '9')
  assert.equal(bed.containers.get(id).run.state, 'exited')
  assert.equal(bed.containers.get(id).run.exitCode, 137)
})

test('pause stops it, unpause lets it go on, a kill lands on a paused one', { skip }, async () => {
  const id = await bed.create(['sleep', '100'])
  await bed.containers.start(id)
  await bed.containers.pause(id)
  assert.equal(bed.containers.get(id).run.state, 'paused')
  await assert.rejects(bed.containers.pause(id), /is already paused/)
  await assert.rejects(bed.containers.start(id), /cannot start a paused container/)
  await bed.containers.unpause(id)
  await assert.rejects(bed.containers.unpause(id), (error) => isKind(error, 'internal'))
  // Several times: on cgroup v2 the process may have ended, and its group be gone, before it is thawed.
  for (let round = 0; round < 6; round += 1) {
    await bed.containers.pause(id)
    await bed.containers.kill(id, 'KILL')
    assert.equal(bed.containers.get(id).run.exitCode, 137)
    await bed.containers.start(id)
  }
})

test('wait: next exit, not running, removal with the exit code it had', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'exit 5'], {
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, AutoRemove: true },
  })
  assert.deepEqual(await bed.containers.wait(id, 'not-running').result, { statusCode: 0 })
  const removed = bed.containers.wait(id, 'removed')
  const next = bed.containers.wait(id, 'next-exit')
  await bed.containers.start(id)
  assert.deepEqual(await next.result, { statusCode: 5 })
  assert.deepEqual(await removed.result, { statusCode: 5 })
  assert.throws(
    () => bed.containers.get(id),
    (error) => isKind(error, 'not-found'),
  )
})

test('on-failure starts it again as often as it says, then lets it be', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'echo run; exit 1'], {
    hostConfig: {
      NetworkMode: 'none',
      CgroupParent: cgroupParent,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
    },
  })
  const ends: (number | undefined)[] = []
  await bed.containers.start(id)
  while (bed.containers.get(id).run.state !== 'exited') {
    const { statusCode } = await bed.containers.wait(id, 'next-exit').result
    ends.push(statusCode)
  }
  const log = bed.containers.logs(id, { stdout: true, stderr: true, follow: false, timestamps: false, details: false })
  assert.equal(unframe(await collect(log)).out, 'run\nrun\nrun\n')
  assert.equal(bed.containers.get(id).run.restartCount, 2)
})

test('a stop calls off the restart that waits', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'exit 1'], {
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, RestartPolicy: { Name: 'always' } },
  })
  await bed.containers.start(id)
  while (bed.containers.get(id).run.state !== 'restarting') await bed.containers.wait(id, 'next-exit').result
  await bed.containers.stop(id, { timeout: 0 })
  assert.equal(bed.containers.get(id).run.state, 'exited')
  assert.equal(bed.containers.get(id).run.manuallyStopped, true)
})

test('restart: one new run, the same container, no removal in between', { skip }, async () => {
  const id = await bed.create(['sleep', '100'], {
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, AutoRemove: true },
  })
  await bed.containers.start(id)
  const first = bed.containers.get(id).run.pid
  await bed.containers.restart(id, { timeout: 0 })
  const { run } = bed.containers.get(id)
  assert.equal(run.state, 'running')
  assert.notEqual(run.pid, first)
  assert.equal(eventsOf(id).at(-1), 'container restart')
  await bed.containers.remove(id, { force: true, volumes: true })
})

test('removal: not while it runs, by force yes, and then nothing is left', { skip: noPacketFilter }, async () => {
  const id = await bed.create(['sleep', '100'], {
    config: { Image: 'host', Volumes: { '/data': {} } },
    name: 'gone',
    ...bridge,
  })
  await bed.containers.start(id)
  const volume = bed.containers.get(id).mounts[0]?.Name ?? ''
  assert.equal(bed.volumes.get(volume).labels['com.docker.volume.anonymous'], '')
  await assert.rejects(bed.containers.remove('gone', { force: false, volumes: false }), /container is running: stop/)
  const [one, other] = await Promise.allSettled([
    bed.containers.remove('gone', { force: true, volumes: true }),
    bed.containers.remove('gone', { force: true, volumes: true }),
  ])
  assert.equal(one.status, 'fulfilled')
  assert.match(String((other as PromiseRejectedResult).reason), /is already in progress/)
  assert.throws(() => bed.volumes.get(volume))
  assert.throws(() => bed.snapshotter.mounts(id))
  assert.equal(existsSync(join(bed.root, 'containers', id)), false)
  assert.equal(existsSync(join(bed.execRoot, 'containers', id)), false)
  assert.deepEqual(detectCgroups().group(`${cgroupParent}/${id}`).processes(), [])
})

test('a failed creation leaves nothing, and the name free', { skip }, async () => {
  const before = readdirSync(join(bed.root, 'containers'))
  const volumes = bed.volumes.list().length
  await assert.rejects(
    bed.create(['true'], {
      name: 'half',
      config: { Image: 'host', Volumes: { '/a': {}, '/etc/passwd': {} } },
    }),
    (error) => isKind(error, 'invalid') && /file exists \/etc\/passwd/.test(error.message),
  )
  assert.deepEqual(readdirSync(join(bed.root, 'containers')), before)
  assert.equal(bed.volumes.list().length, volumes)
  const id = await bed.create(['true'], { name: 'half' })
  await assert.rejects(bed.create(['true'], { name: 'half' }), (error) => isKind(error, 'conflict'))
  await bed.containers.rename(id, 'whole')
  assert.equal(bed.containers.get('/whole').id, id)
  await assert.rejects(bed.containers.rename('whole', 'whole'), (error) => isKind(error, 'invalid'))
})

test('limits: set at the start, changed while it runs, refused when impossible', { skip }, async () => {
  const id = await bed.create(['sleep', '100'], {
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, Memory: 64 << 20, PidsLimit: 50 },
  })
  await bed.containers.start(id)
  assert.equal(bed.containers.sample(id).use.memory.limit, 64 << 20)
  assert.equal(bed.containers.sample(id).use.pids.limit, 50)
  await bed.containers.update(id, { Memory: 32 << 20, PidsLimit: 60 })
  assert.equal(bed.containers.sample(id).use.memory.limit, 32 << 20)
  assert.equal(bed.containers.sample(id).use.pids.limit, 60)
  await assert.rejects(bed.containers.update(id, { Memory: 1024 }), /Minimum memory limit allowed is 6MB/)
  await assert.rejects(bed.containers.update(id, { Memory: 1 << 30 }), /already set memoryswap limit/)
  assert.equal(bed.containers.get(id).hostConfig.Memory, 32 << 20)
  await bed.containers.remove(id, { force: true, volumes: true })
})

test('out of memory is told', { skip }, async () => {
  const { id, code } = await bed.run('exec tail /dev/zero', {
    hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, Memory: 16 << 20, MemorySwap: 16 << 20 },
  })
  assert.equal(code, 137)
  assert.equal(bed.containers.get(id).run.oomKilled, true)
})

test('top shows its processes and no others', { skip }, async () => {
  const id = await bed.create(['sh', '-c', 'sleep 101 & sleep 102 & echo ready; wait'])
  await bed.containers.start(id)
  await says(id, 'ready')
  const commandsOf = (): (string | undefined)[] => bed.containers.top(id, '-ef').Processes.map((row) => row[7])
  // Between fork and execve a child still has its parent's name.
  while (!['sleep 101', 'sleep 102'].every((command) => commandsOf().includes(command))) await nextTurn()
  const { Titles, Processes } = bed.containers.top(id, '-ef')
  assert.deepEqual(Titles, ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
  const commands = Processes.map((row) => row[7]).toSorted()
  assert.deepEqual(commands.slice(-2), ['sleep 101', 'sleep 102'])
  assert.equal(Processes.length, 3)
  assert.deepEqual(bed.containers.top(id, '-o pid,comm').Titles, ['PID', 'COMMAND'])
  assert.throws(
    () => bed.containers.top(id, '-o nonsense'),
    (error) => isKind(error, 'invalid'),
  )
  await bed.containers.remove(id, { force: true, volumes: true })
})

test('two networks, connected and disconnected while it runs', { skip: noPacketFilter }, async () => {
  const network = await bed.networks.create({ name: `side${process.pid}` })
  const id = await bed.create(['sleep', '100'], bridge)
  await bed.containers.start(id)
  await bed.containers.connect(id, network.name, { Aliases: ['web'] })
  assert.deepEqual(
    bed.containers.get(id).endpoints.map(({ networkName }) => networkName),
    ['bridge', network.name],
  )
  await assert.rejects(bed.containers.connect(id, network.name, {}), (error) => isKind(error, 'forbidden'))
  await bed.containers.disconnect(id, network.name, false)
  assert.deepEqual(bed.networks.members(network.id), [])
  await bed.containers.remove(id, { force: true, volumes: true })
  await bed.networks.remove(network.name)
})

test("one that shares another's network, processes and memory sees what that one sees", {
  skip: noPacketFilter,
}, async () => {
  const first = await bed.create(['sleep', '1000'], {
    hostConfig: {
      NetworkMode: 'bridge',
      IpcMode: 'shareable',
      CgroupParent: cgroupParent,
      ExtraHosts: ['extra:10.9.8.7'],
    },
  })
  await bed.containers.start(first)
  const shared = `container:${bed.containers.get(first).name}`
  const { out } = await bed.run(
    'readlink /proc/self/ns/net /proc/self/ns/ipc; cat /proc/1/comm; grep extra /etc/hosts',
    {
      hostConfig: { NetworkMode: shared, IpcMode: shared, PidMode: shared, CgroupParent: cgroupParent },
    },
  )
  const { pid } = bed.containers.get(first).run
  const links = ['net', 'ipc'].map((type) => readlinkSync(`/proc/${pid}/ns/${type}`))
  assert.equal(out, `${links.join('\n')}\nsleep\n10.9.8.7\textra\n`)
  await bed.containers.remove(first, { force: true, volumes: true })
  const alone = await bed.run('true')
  await assert.rejects(
    bed.run('true', { hostConfig: { NetworkMode: `container:${alone.id}`, CgroupParent: cgroupParent } }),
    (error) =>
      isKind(error, 'conflict') && /cannot join network namespace of a non running container/.test(error.message),
  )
})

test('a start that is called off is undone', { skip }, async () => {
  const id = await bed.create(['sleep', '100'])
  const started = bed.containers.start(id).then(
    () => 'started',
    () => 'called off',
  )
  while (!existsSync(join(bed.execRoot, 'containers', id))) await nextTurn()
  await bed.containers.remove(id, { force: true, volumes: true })
  assert.equal(await started, 'called off')
  assert.equal(existsSync(join(bed.execRoot, 'containers', id)), false)
  assert.deepEqual(detectCgroups().group(`${cgroupParent}/${id}`).processes(), [])
})

test('no clean-up failed in any of these', { skip }, () => {
  assert.deepEqual(bed.problems, [])
})
