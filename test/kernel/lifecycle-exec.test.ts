/** Further processes in a running container. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import type { CreateExec } from '../../engine/lifecycle/containers.ts'
import { Bed, cgroupParent, collect, needsRoot as skip, unframe } from './lifecycle-bed.ts'

const bed = new Bed()
let id = ''
before(async () => {
  if (skip !== false) return
  await bed.open()
  id = await bed.create(['sleep', '1000'], { config: { Image: 'host', Env: ['A=container'], WorkingDir: '/tmp' } })
  await bed.containers.start(id)
})
after(async () => {
  if (skip === false) await bed.close()
})

const plain: CreateExec = {
  cmd: [],
  env: [],
  user: '',
  workingDir: '',
  privileged: false,
  tty: false,
  attachStdin: false,
  attachStdout: true,
  attachStderr: true,
}

async function exec(
  script: string,
  more: Partial<CreateExec> = {},
): Promise<{ out: string; err: string; code: number | null }> {
  const execId = await bed.containers.createExec(id, { ...plain, cmd: ['sh', '-c', script], ...more })
  const stream = await bed.containers.startExec(execId, { detach: false, tty: false })
  assert.ok(stream !== undefined)
  const streams = unframe(await collect(stream))
  return { ...streams, code: bed.containers.getExec(execId).exitCode }
}

test('output and exit code, which is there when the output has ended', { skip }, async () => {
  assert.deepEqual(await exec('echo out; echo err >&2; exit 4'), { out: 'out\n', err: 'err\n', code: 4 })
})

test('two connections bring the end of the output and the exit: whichever is read first, the code is there', {
  skip,
}, async () => {
  const codes = new Set<number | null>()
  for (let round = 0; round < 200; round += 1) codes.add((await exec('echo out; exit 4')).code)
  assert.deepEqual([...codes], [4])
})

test("environment, directory and user are the container's, unless given", { skip }, async () => {
  assert.equal((await exec('echo $A; pwd; id -u')).out, 'container\n/tmp\n0\n')
  const own = await exec('echo $A $B; pwd; id -u; id -g; id -G', {
    env: ['A=own', 'B=2'],
    workingDir: '/etc',
    user: 'daemon:audio',
  })
  assert.equal(own.out, 'own 2\n/etc\n1\n29\n29\n')
})

test('privileged raises capabilities and nothing else', { skip }, async () => {
  const capabilities = async (privileged: boolean): Promise<bigint> =>
    BigInt(`0x${(await exec('grep CapEff /proc/self/status', { privileged })).out.split('\t')[1]?.trim()}`)
  const sysAdmin = 1n << 21n
  assert.equal((await capabilities(false)) & sysAdmin, 0n)
  assert.equal((await capabilities(true)) & sysAdmin, sysAdmin)
})

test('stdin goes in and ends', { skip }, async () => {
  const execId = await bed.containers.createExec(id, { ...plain, cmd: ['cat'], attachStdin: true })
  const stream = await bed.containers.startExec(execId, { detach: false, tty: false })
  stream?.end('through\n')
  assert.equal(unframe(await collect(stream!)).out, 'through\n')
})

test('a terminal has its size, which can be changed, and TERM', { skip }, async () => {
  const execId = await bed.containers.createExec(id, {
    ...plain,
    cmd: ['sh', '-c', 'echo $TERM; stty size; read line; stty size'],
    tty: true,
    attachStdin: true,
    consoleSize: [20, 60],
  })
  const stream = await bed.containers.startExec(execId, { detach: false, tty: true })
  let seen = ''
  let resized = false
  for await (const chunk of stream!) {
    seen += (chunk as Buffer).toString()
    if (!seen.includes('20 60') || resized) continue
    resized = true
    await bed.containers.resizeExec(execId, { height: 30, width: 90 })
    stream?.write('\n')
  }
  assert.match(seen, /^xterm\r\n20 60\r\n\r\n30 90\r\n$/)
})

test('detached: it runs, and can be inspected after', { skip }, async () => {
  const execId = await bed.containers.createExec(id, { ...plain, cmd: ['sh', '-c', 'sleep 0.1; exit 6'] })
  assert.equal(await bed.containers.startExec(execId, { detach: true, tty: false }), undefined)
  assert.deepEqual(bed.containers.execIds(id), [execId])
  const died = Promise.withResolvers<void>()
  using _listener = bed.events.listen(({ action, actor }) => {
    if (action === 'exec_die' && actor.attributes.execID === execId) died.resolve()
  })
  if (bed.containers.getExec(execId).exitCode === null) await died.promise
  assert.equal(bed.containers.getExec(execId).exitCode, 6)
  assert.equal(bed.containers.getExec(execId).running, false)
  assert.deepEqual(bed.containers.execIds(id), [])
})

test('what cannot be executed: 127 and 126, and it is refused a second time', { skip }, async () => {
  for (const [cmd, code] of [
    ['no-such-program', 127],
    ['/etc/passwd', 126],
  ] as const) {
    const execId = await bed.containers.createExec(id, { ...plain, cmd: [cmd] })
    await assert.rejects(
      bed.containers.startExec(execId, { detach: false, tty: false }),
      (error) => isKind(error, 'invalid') && error.message.startsWith('OCI runtime exec failed: exec failed: '),
    )
    assert.equal(bed.containers.getExec(execId).exitCode, code)
    await assert.rejects(bed.containers.startExec(execId, { detach: false, tty: false }), /has already run/)
  }
})

test('bad requests are refused when they are made', { skip }, async () => {
  const bad: [Partial<CreateExec>, RegExp][] = [
    [{ cmd: [] }, /No exec command specified/],
    [{ cmd: ['true'], user: 'nobody-here' }, /unable to find user nobody-here/],
    [{ cmd: ['true'], env: ['=x'] }, /invalid environment variable/],
    [{ cmd: ['true'], detachKeys: 'nope' }, /Invalid detach keys/],
  ]
  for (const [request, words] of bad)
    await assert.rejects(
      bed.containers.createExec(id, { ...plain, ...request }),
      (error) => isKind(error, 'invalid') && words.test(error.message),
    )
  assert.throws(
    () => bed.containers.getExec('nope'),
    (error) => isKind(error, 'not-found'),
  )
})

test('not in one that is paused or does not run', { skip }, async () => {
  const other = await bed.create(['sleep', '1000'], { hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent } })
  await assert.rejects(bed.containers.createExec(other, { ...plain, cmd: ['true'] }), /is not running/)
  await bed.containers.start(other)
  await bed.containers.pause(other)
  await assert.rejects(
    bed.containers.createExec(other, { ...plain, cmd: ['true'] }),
    /unpause the container before exec/,
  )
})

test('an exec ends with its container', { skip }, async () => {
  const other = await bed.create(['sleep', '1000'])
  await bed.containers.start(other)
  const execId = await bed.containers.createExec(other, { ...plain, cmd: ['sleep', '1000'] })
  const stream = await bed.containers.startExec(execId, { detach: false, tty: false })
  await bed.containers.kill(other, 'KILL')
  await collect(stream!)
  assert.equal(bed.containers.getExec(execId).exitCode, 137)
})

test('the supervisor is not taken along when the kernel ends processes for want of memory', { skip }, async () => {
  const hog = await bed.create(['sh', '-c', 'while :; do tail /dev/zero; done'], {
    hostConfig: { Memory: 16 << 20, MemorySwap: 16 << 20 },
  })
  await bed.containers.start(hog)
  for (let round = 0; round < 60; round += 1) {
    const execId = await bed.containers.createExec(hog, { ...plain, cmd: ['true'] })
    // It may itself be the one that is ended.
    const stream = await bed.containers.startExec(execId, { detach: false, tty: false }).catch(() => undefined)
    if (stream !== undefined) await collect(stream)
  }
  assert.equal(bed.containers.get(hog).run.state, 'running')
})

test("the supervisor's own out-of-memory score stays", { skip }, async () => {
  const scored = await bed.create(['sleep', '1000'], { hostConfig: { OomScoreAdj: 300 } })
  await bed.containers.start(scored)
  const execId = await bed.containers.createExec(scored, { ...plain, cmd: ['cat', '/proc/self/oom_score_adj'] })
  const stream = await bed.containers.startExec(execId, { detach: false, tty: false })
  assert.equal(unframe(await collect(stream!)).out, '300\n')
  const { pid } = bed.containers.get(scored).run
  const supervisor = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  const own = readFileSync('/proc/self/oom_score_adj', 'utf8')
  assert.equal(readFileSync(`/proc/${supervisor}/oom_score_adj`, 'utf8'), own)
})

test('no clean-up failed in any of these', { skip }, () => {
  assert.deepEqual(bed.problems, [])
})
