/** What a new daemon makes of what the last one left: it was gone without a word each time. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '../../engine/base/identifier.ts'
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

const on = (network: string, more: object = {}) => ({
  hostConfig: { NetworkMode: network, CgroupParent: cgroupParent, ...more },
})

const stateOf = (id: string): string => bed.containers.get(id).run.state

/** Until the process is gone from /proc, which needs no daemon. */
async function gone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await sleep(5)
}

async function logOf(id: string): Promise<string> {
  const log = bed.containers.logs(id, { stdout: true, stderr: true, follow: false, timestamps: false, details: false })
  return unframe(await collect(log)).out
}

test('one that runs goes on, and can be used as before', { skip: noPacketFilter }, async () => {
  const id = await bed.create(['sh', '-c', 'while :; do echo tick; sleep 0.02; done'], on('bridge'))
  await bed.containers.start(id)
  const { pid } = bed.containers.get(id).run
  await bed.crash()
  await bed.open()
  assert.equal(stateOf(id), 'running')
  assert.equal(bed.containers.get(id).run.pid, pid)
  assert.equal(bed.networks.members(bed.networks.get('bridge').id).length, 1)
  const exec = await bed.containers.createExec(id, {
    cmd: ['echo', 'hello'],
    env: [],
    user: '',
    workingDir: '',
    privileged: false,
    tty: false,
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
  })
  const stream = await bed.containers.startExec(exec, { detach: false, tty: false })
  assert.ok(stream !== undefined)
  assert.equal(unframe(await collect(stream)).out, 'hello\n')
  await bed.containers.stop(id, { timeout: 0 })
  assert.equal(stateOf(id), 'exited')
})

test('an end that nobody saw is told with its true exit code', { skip: noPacketFilter }, async () => {
  const id = await bed.create(['sh', '-c', 'echo before; sleep 0.3; echo after; exit 9'], on('bridge'))
  await bed.containers.start(id)
  const { pid } = bed.containers.get(id).run
  await bed.crash()
  await gone(pid)
  await bed.open()
  await bed.containers.wait(id, 'not-running').result
  assert.equal(stateOf(id), 'exited')
  assert.equal(bed.containers.get(id).run.exitCode, 9)
  assert.equal(await logOf(id), 'before\nafter\n')
  assert.deepEqual(bed.networks.members(bed.networks.get('bridge').id), [])
})

test('one whose supervisor was killed is lost, and nothing of it is left', { skip }, async () => {
  const id = await bed.create(['sleep', '1000'], on('none'))
  await bed.containers.start(id)
  const { pid } = bed.containers.get(id).run
  const shim = await bed.supervisors.find(join(bed.execRoot, 'containers', id))
  assert.ok(shim !== undefined)
  await bed.crash()
  process.kill(shim.pid, 'SIGKILL')
  await gone(shim.pid)
  await bed.open()
  await gone(pid)
  assert.equal(stateOf(id), 'exited')
  assert.equal(bed.containers.get(id).run.exitCode, 255)
  assert.notEqual(bed.containers.get(id).run.error, '')
  assert.deepEqual(detectCgroups().group(`${cgroupParent}/${id}`).processes(), [])
  assert.equal(existsSync(join(bed.execRoot, 'containers', id)), false)
})

test('a supervisor that is killed while the daemon looks on', { skip }, async () => {
  const id = await bed.create(['sleep', '1000'], on('none'))
  await bed.containers.start(id)
  const { pid } = bed.containers.get(id).run
  const shim = await bed.supervisors.find(join(bed.execRoot, 'containers', id))
  const ended = bed.containers.wait(id, 'next-exit')
  process.kill(shim?.pid ?? -1, 'SIGKILL')
  await ended.result
  await gone(pid)
  await bed.containers.update(id, {})
  assert.equal(stateOf(id), 'exited')
  assert.equal(existsSync(join(bed.execRoot, 'containers', id)), false)
})

test('restart policies after a daemon that was gone: who ran runs, who was stopped does not', { skip }, async () => {
  const restarting = (Name: string) => on('none', { RestartPolicy: { Name } })
  const always = await bed.create(['sleep', '1000'], restarting('always'))
  const stopped = await bed.create(['sleep', '1000'], restarting('unless-stopped'))
  const unstopped = await bed.create(['sleep', '1000'], restarting('unless-stopped'))
  const never = await bed.create(['sleep', '1000'], restarting('no'))
  for (const id of [always, stopped, unstopped, never]) await bed.containers.start(id)
  await bed.containers.stop(always, { timeout: 0 })
  await bed.containers.stop(stopped, { timeout: 0 })
  const pids = [unstopped, never].map((id) => bed.containers.get(id).run.pid)
  await bed.crash()
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  for (const pid of pids) await gone(pid)
  await bed.open()
  for (const id of [always, unstopped]) while (stateOf(id) !== 'running') await sleep(5)
  assert.equal(stateOf(stopped), 'exited')
  assert.equal(stateOf(never), 'exited')
  assert.equal(bed.containers.get(never).run.exitCode, 137)
})

test('one to be removed at its end is removed by the next daemon', { skip }, async () => {
  const id = await bed.create(['sleep', '1000'], on('none', { AutoRemove: true }))
  await bed.containers.start(id)
  const { pid } = bed.containers.get(id).run
  await bed.crash()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  await bed.open()
  // Its supervisor may be found still writing its end down.
  if (bed.containers.list().some((container) => container.id === id)) await bed.containers.wait(id, 'removed').result
  assert.throws(() => bed.containers.get(id), /No such container/)
  assert.equal(existsSync(join(bed.root, 'containers', id)), false)
})

test('one whose removal the last daemon did not get to', { skip }, async () => {
  const id = await bed.create(['true'], on('none', { AutoRemove: true }))
  const { run } = bed.containers.get(id)
  const ended = JSON.stringify({ run: { ...run, state: 'exited' }, endpoints: [] })
  bed.database.run('UPDATE container SET state = ? WHERE id = ?', ended, id)
  await bed.crash()
  await bed.open()
  assert.throws(() => bed.containers.get(id), /No such container/)
})

test('a creation that was not finished is undone: directory, snapshot, anonymous volumes', { skip }, async () => {
  const id = newId()
  const volume = await bed.volumes.create({ name: newId() })
  mkdirSync(join(bed.root, 'containers', id))
  writeFileSync(join(bed.root, 'containers', id, 'leftovers.json'), JSON.stringify({ volumes: [volume.name] }))
  await bed.snapshotter.prepare(id, undefined)
  await bed.crash()
  await bed.open()
  assert.equal(existsSync(join(bed.root, 'containers', id)), false)
  assert.throws(() => bed.volumes.get(volume.name))
  assert.throws(() => bed.snapshotter.mounts(id))
})

test('a start that was not recorded is undone, and can be done again', { skip }, async () => {
  const id = await bed.create(['sleep', '1000'], on('none'))
  await bed.containers.start(id)
  const { pid } = bed.containers.get(id).run
  const before = JSON.stringify({
    run: { ...bed.containers.get(id).run, state: 'created', pid: 0 },
    endpoints: [],
  })
  bed.database.run('UPDATE container SET state = ? WHERE id = ?', before, id)
  await bed.crash()
  await bed.open()
  await gone(pid)
  assert.equal(stateOf(id), 'created')
  assert.equal(readdirSync(join(bed.execRoot, 'containers')).includes(id), false)
  await bed.containers.start(id)
  assert.equal(stateOf(id), 'running')
})

test('no clean-up failed in any of these', { skip }, () => {
  assert.deepEqual(bed.problems, [])
})
