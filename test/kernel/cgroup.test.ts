/** The kernel keeps what the Cgroup interface promises; runs on whichever version the machine has. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import type { Cgroup } from '../../engine/cgroup/cgroup.ts'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { deviceWritesV1 } from '../../engine/cgroup/v1-devices.ts'
import { defaultDeviceRules } from '../../engine/spec/defaults.table.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const MB = 1024 * 1024

/** A group that is killed and removed at the end of the test, whatever happened. */
function newGroup(name: string): Cgroup & Disposable {
  const group = detectCgroups().group(`/drydock-test-${process.pid}/${name}`)
  group.create()
  return Object.assign(group, {
    [Symbol.dispose]: () => {
      group.kill(5000)
      group.remove()
      detectCgroups().group(`/drydock-test-${process.pid}`).remove()
    },
  })
}

/** A shell that waits for a line before it runs the script: time to move it into a group. */
function shell(script: string): ChildProcess {
  return spawn('/bin/sh', ['-c', `read line; ${script}`], { stdio: ['pipe', 'pipe', 'inherit'] })
}

const ended = async (child: ChildProcess): Promise<number | string | null> => {
  const [code, signal] = child.exitCode === null && child.signalCode === null ? await once(child, 'exit') : []
  return code ?? signal ?? child.exitCode ?? child.signalCode
}

test('create, enter, list, kill, remove', { skip }, async () => {
  using group = newGroup('life')
  const child = shell('sleep 100 & sleep 100 & wait')
  group.enter(child.pid as number)
  assert.deepEqual(group.processes(), [child.pid])
  assert.throws(
    () => group.create(),
    (error) => isKind(error, 'conflict'),
  )
  child.stdin?.write('go\n')
  while (group.processes().length < 3) await new Promise((resolve) => setImmediate(resolve))
  group.kill(5000)
  assert.deepEqual(group.processes(), [])
  assert.equal(await ended(child), 'SIGKILL')
  group.remove()
  for (const directory of Object.values(group.directories)) assert.equal(existsSync(directory), false, directory)
  group.remove()
})

test('a group with groups below is removed whole', { skip }, () => {
  using group = newGroup('deep')
  for (const directory of Object.values(group.directories)) mkdirSync(`${directory}/a/b`, { recursive: true })
  group.remove()
  for (const directory of Object.values(group.directories)) assert.equal(existsSync(directory), false, directory)
})

test('a group that handed its controllers down takes a process beside the others', { skip }, async () => {
  using group = newGroup('handed')
  const first = shell('')
  const inner = detectCgroups().group(`${group.path}/inner`)
  inner.create()
  inner.enter(first.pid as number)
  const second = shell('')
  group.enter(second.pid as number)
  assert.deepEqual(new Set(group.processes()), new Set([first.pid, second.pid]))
  group.kill(5000)
  await Promise.all([ended(first), ended(second)])
})

test('frozen processes are killed, too', { skip }, async () => {
  using group = newGroup('ice')
  const child = shell('while :; do read x || exit; done')
  group.enter(child.pid as number)
  assert.equal(group.frozen(), false)
  group.freeze()
  assert.equal(group.frozen(), true)
  group.thaw()
  assert.equal(group.frozen(), false)
  group.freeze()
  group.kill(5000)
  assert.equal(await ended(child), 'SIGKILL')
})

test('memory: who takes more than the limit is killed, and it is counted', { skip }, async () => {
  using group = newGroup('memory')
  group.apply({ memory: { limit: 16 * MB, swap: 16 * MB } })
  const child = shell('exec dd if=/dev/zero of=/dev/null bs=64M count=1')
  group.enter(child.pid as number)
  child.stdin?.write('go\n')
  assert.equal(await ended(child), 'SIGKILL')
  const { memory } = group.use()
  assert.equal(memory.limit, 16 * MB)
  assert.ok(memory.oomKills >= 1, `oomKills ${memory.oomKills}`)
  assert.ok((memory.peak ?? 16 * MB) <= 16 * MB)
})

test('memory limits grow and shrink with swap in one call', { skip }, () => {
  using group = newGroup('resize')
  for (const size of [64, 256, 32, 33]) {
    group.apply({ memory: { limit: size * MB, swap: 2 * size * MB } })
    assert.equal(group.use().memory.limit, size * MB)
  }
  group.apply({ memory: { limit: 512 * MB, swap: -1 } })
  assert.equal(group.use().memory.limit, 512 * MB)
  group.apply({ memory: { limit: -1, swap: -1 } })
  assert.equal(group.use().memory.limit, undefined)
})

const noCheck = skip || (detectCgroups().version === 1 && 'cgroup v1 refuses by itself what is in use')

test('memory: what is in use already is refused before it is set, where that is asked for', {
  skip: noCheck,
}, async () => {
  using group = newGroup('checked')
  // What a process had before it came is counted where it came from.
  const child = shell('x=$(head -c 1000000 /dev/zero | tr "\\0" x); echo filled; read line')
  group.enter(child.pid as number)
  child.stdin?.write('go\n')
  await once(child.stdout!, 'data')
  const asked = [{ limit: 4096 }, { limit: 4096, swap: 8192 }]
  for (const memory of asked)
    assert.throws(
      () => group.apply({ memory: { ...memory, checkBeforeUpdate: true } }),
      (error) => isKind(error, 'invalid') && /^rejecting memory(\+swap)? limit \d+ <= usage/.test(error.message),
    )
  assert.equal(group.use().memory.limit, undefined)
})

test('cpu: a quota throttles', { skip }, async () => {
  using group = newGroup('cpu')
  group.apply({ cpu: { quota: 2000, period: 20000, shares: 512 } })
  const child = shell('i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done')
  group.enter(child.pid as number)
  child.stdin?.write('go\n')
  assert.equal(await ended(child), 0)
  const { cpu } = group.use()
  assert.equal(cpu.quota, 2000)
  assert.equal(cpu.period, 20000)
  assert.equal(cpu.shares, 512)
  assert.ok(cpu.throttledPeriods > 0 && cpu.throttledTime > 0, JSON.stringify(cpu))
  assert.ok(cpu.usage > 0)
})

test('pids: a fork too many is refused', { skip }, async () => {
  using group = newGroup('pids')
  group.apply({ pids: { limit: 2 } })
  const child = shell('sleep 100 & sleep 100 & wait')
  group.enter(child.pid as number)
  child.stdin?.write('go\n')
  const code = await ended(child)
  assert.ok(code !== 0 && code !== null, `exit ${code}`)
  assert.equal(group.use().pids.limit, 2)
})

const noCpuset = !skip && !detectCgroups().controllers.includes('cpuset') && 'this kernel has no cpuset controller'

test('a limit the kernel refuses is invalid and names the file', { skip: skip || noCpuset }, () => {
  using group = newGroup('bad')
  assert.throws(
    () => group.apply({ cpu: { cpus: '4000' } }),
    (error) => isKind(error, 'invalid') && error.message.includes('cpuset.cpus'),
  )
})

test('devices: the default rules deny the disk and allow null', { skip }, async () => {
  using group = newGroup('devices')
  group.apply({ devices: [...defaultDeviceRules] })
  const node = `/tmp/drydock-test-device-${process.pid}`
  // 1:4 is /dev/port, 1:3 is /dev/null: both exist in every kernel.
  const child = shell(
    `mknod ${node} c 1 4; (: < ${node}) 2>/dev/null && echo port; (: < /dev/null) && echo null; rm ${node}`,
  )
  group.enter(child.pid as number)
  child.stdin?.end('go\n')
  const chunks: Buffer[] = []
  for await (const chunk of child.stdout as NodeJS.ReadableStream) chunks.push(chunk as Buffer)
  assert.equal(Buffer.concat(chunks).toString(), 'null\n')
  assert.ok(deviceWritesV1(defaultDeviceRules).length > 5)
})

test('a single-threaded caller moves itself', { skip }, () => {
  using group = newGroup('self')
  const script = `
    const { detectCgroups } = await import(${JSON.stringify(new URL('../../engine/cgroup/detect.ts', import.meta.url).href)})
    const group = detectCgroups().group(${JSON.stringify(group.path)})
    group.enter(0)
    process.exitCode = group.processes().includes(process.pid) ? 0 : 1`
  const { status, stderr } = spawnSync(process.execPath, ['--single-threaded', '--input-type=module', '-e', script], {
    env: { ...process.env, UV_USE_IO_URING: '0' },
  })
  assert.equal(status, 0, stderr.toString())
})
