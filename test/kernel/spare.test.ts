/** The shim that is forked before anybody asks: who gets it, and what becomes of it. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { BundleOptions } from './bundle.ts'
import { ShimBed, script } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
before(async () => {
  if (skip === false) bed = await ShimBed.start()
})
after(() => bed?.close())

type Process = { pid: number; name: string; parent: number }

function processes(): Process[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const [, pid, name, parent] = /^(\d+) \((.*)\) [^Z] (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, 'utf8')) ?? []
      return pid === undefined ? [] : [{ pid: Number(pid), name: name ?? '', parent: Number(parent) }]
    } catch {
      // It ended meanwhile.
      return []
    }
  })
}

function spares(): number[] {
  const all = processes()
  const spawner = all.find(({ name, parent }) => name === 'drydock-spawner' && parent === process.pid)
  return all.filter(({ name, parent }) => name === 'drydock-spare' && parent === spawner?.pid).map(({ pid }) => pid)
}

/** That has been alone for a while: one that is not needed any more may be on its way out, or one on its way to this process. */
async function theSpare(): Promise<number> {
  let known: number | undefined
  for (let seen = 0; seen < 20; ) {
    const [pid, ...others] = spares()
    seen = pid !== undefined && pid === known && others.length === 0 ? seen + 1 : 0
    known = pid
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return known!
}

async function runOne(): Promise<number> {
  const { bundle, shim } = await bed.launch(['true'])
  using _bundle = bundle
  await shim.create()
  await shim.start()
  assert.equal((await shim.exited).exitCode, 0)
  await shim.release()
  return shim.pid
}

test('the next container has it, and there is another one while that runs', { skip }, async () => {
  const first = await theSpare()
  const { bundle, shim } = await bed.launch(['sleep', '1000'])
  using _bundle = bundle
  await shim.create()
  await shim.start()
  assert.equal(shim.pid, first)
  const second = await theSpare()
  assert.equal(await runOne(), second)
  await shim.killAll()
  await shim.exited
  await shim.release()
})

test('whose container has gone has the next one, a hundred times', { skip }, async () => {
  const pids: number[] = []
  for (let round = 0; round < 201; round += 1) pids.push(await runOne())
  // The first has had others before.
  const [first, ...others] = [...new Set(pids)].map((pid) => pids.filter((other) => other === pid).length)
  assert.ok(first! <= 100, `${first}`)
  assert.deepEqual(others.slice(0, 1), [100])
})

/** What a process is, as far as /proc tells, and what the container before could have left in it. */
function stateOf(pid: number): Record<string, unknown> {
  const text = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8')
  const kinds = [
    'Umask',
    'Groups',
    'Cap',
    'NoNewPrivs',
    'Seccomp',
    'Sig[BI]',
    'Shd',
    'Uid',
    'Gid',
    'Threads',
    'TracerPid',
  ]
  return {
    status: text('status')
      .split('\n')
      .filter((line) => kinds.some((kind) => new RegExp(`^${kind}`).test(line))),
    descriptors: readdirSync(`/proc/${pid}/fd`).map((fd) => [
      fd,
      readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/, 'N'),
    ]),
    score: text('oom_score_adj'),
    groups: text('cgroup'),
    children: text(`task/${pid}/children`),
    namespaces: readdirSync(`/proc/${pid}/ns`).map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)),
    places: [readlinkSync(`/proc/${pid}/cwd`), readlinkSync(`/proc/${pid}/root`)],
    limits: text('limits'),
    // Owned by root, and not by nobody, as long as the process may be dumped or not.
    mine: statSync(`/proc/${pid}/environ`).uid,
    scheduling: text('stat').split(') ')[1]!.split(' ').slice(15, 17),
  }
}

test('nothing of a container stays in its shim', { skip }, async () => {
  const pid = await runOne()
  // It answers first, and closes what it listened at then.
  assert.equal(await theSpare(), pid)
  const before = stateOf(pid)
  const runs: (() => Promise<{ pid: number }>)[] = [
    async () => ({ pid: await runOne() }),
    () => runBusy(),
    () => runBusy({ terminal: true }),
    () =>
      runBusy({ change: (spec) => Object.assign(spec.process!, { oomScoreAdj: 500, user: { uid: 1000, gid: 1000 } }) }),
    () => runBusy({ change: (spec) => Object.assign(spec.linux!.resources!, { memory: { limit: 64 << 20 } }) }),
    () => runBusy({ openStdin: true, log: { driver: 'none' } }),
  ]
  for (const [index, run] of runs.entries()) {
    assert.equal((await run()).pid, pid, `container ${index}`)
    assert.equal(await theSpare(), pid)
    assert.deepEqual(stateOf(pid), before, `after container ${index}`)
  }
})

/** Attached to, with execs that end and one that does not, stopped and let go on, and killed. */
async function runBusy(options: BundleOptions = {}): Promise<{ pid: number }> {
  const { bundle, shim } = await bed.launch(['sleep', '1000'], options)
  using _bundle = bundle
  await shim.create()
  const stream = await shim.attach({ stdin: options.openStdin === true, stdout: true, stderr: true })
  stream.resume()
  await shim.start()
  const process = { user: { uid: 0, gid: 0 }, args: ['true'], cwd: '/', env: ['PATH=/usr/bin'] }
  await shim.exec({ execId: 'short', process, openStdin: false })
  await shim.execExited('short')
  await assert.rejects(
    shim.exec({ execId: 'none', process: { ...process, args: ['no-such-program'] }, openStdin: false }),
  )
  await shim.exec({ execId: 'long', process: { ...process, args: ['sleep', '1000'] }, openStdin: true })
  await shim.pause()
  await shim.resume()
  await shim.kill(9)
  await shim.exited
  await shim.execExited('long')
  stream.destroy()
  await shim.release()
  return shim
}

test('one whose container was not what was asked for has no other', { skip }, async () => {
  const refused = await theSpare()
  const { bundle, shim } = await bed.launch(['true'], {
    change: (spec) => {
      spec.process!.cwd = 'relative'
    },
  })
  using _bundle = bundle
  assert.equal(shim.pid, refused)
  await assert.rejects(shim.create())
  assert.notEqual(await runOne(), refused)
  const notStarted = await theSpare()
  const killed = await bed.launch(['true'])
  using _killed = killed.bundle
  assert.equal(killed.shim.pid, notStarted)
  await killed.shim.create()
  await killed.shim.kill(9)
  await killed.shim.exited
  await killed.shim.release()
  assert.notEqual(await runOne(), notStarted)
  const noProgram = await theSpare()
  const failed = await bed.launch(['no-such-program'])
  using _failed = failed.bundle
  await assert.rejects(failed.shim.create().then(() => failed.shim.start()))
  await failed.shim.release()
  assert.notEqual(await runOne(), noProgram)
})

test('nor has one with a process left that got out of its group', { skip }, async () => {
  const pid = await theSpare()
  using group = strayGroup()
  const { bundle, shim } = await bed.launch(
    script('sleep 1000 & echo $! >/tmp/stray; while [ -e /tmp/stray ]; do sleep .01; done'),
    {
      change: (spec) => {
        spec.linux!.namespaces = spec.linux!.namespaces!.filter(({ type }) => type !== 'pid')
        spec.mounts!.push({ destination: '/tmp', type: 'bind', source: group.directory, options: ['bind'] })
      },
    },
  )
  using _bundle = bundle
  await shim.create()
  await shim.start()
  const stray = await group.take()
  await shim.exited
  await shim.release()
  assert.equal(shim.pid, pid)
  assert.equal(existsSync(`/proc/${stray}`), true)
  assert.notEqual(await runOne(), pid)
})

/** Where a process of a container is taken to by somebody else, and killed in the end. */
function strayGroup(): { directory: string; take(): Promise<number> } & Disposable {
  const directory = mkdtempSync('/var/tmp/drydock-stray-')
  const cgroup = detectCgroups().group('/drydock-test/stray')
  cgroup.create()
  return {
    directory,
    async take() {
      const file = `${directory}/stray`
      const number = (): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0)
      while (number() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      const pid = number()
      cgroup.enter(pid)
      rmSync(file)
      return pid
    },
    [Symbol.dispose]() {
      cgroup.kill(5000)
      cgroup.remove()
      rmSync(directory, { recursive: true })
    },
  }
}

test('many at once each have a shim', { skip }, async () => {
  await theSpare()
  const pids = await Promise.all(Array.from({ length: 8 }, runOne))
  assert.equal(new Set(pids).size, 8)
})

test('one that is killed is missed by nobody', { skip }, async () => {
  process.kill(await theSpare(), 'SIGKILL')
  await runOne()
  process.kill(await theSpare(), 'SIGSTOP')
  process.kill(await theSpare(), 'SIGKILL')
  await runOne()
})

test('what is wrong with a container’s files is told, by a spare and by a fork', { skip }, async () => {
  await theSpare()
  const words = async (): Promise<string> =>
    bed.supervisors.launch('/var/tmp/drydock-no-such-directory').then(
      () => '',
      (error: Error) => error.message,
    )
  const [bySpare, byFork] = await Promise.all([words(), words()])
  assert.match(bySpare, /cannot start a supervisor: .*no-such-directory/)
  assert.equal(byFork, bySpare)
  await runOne()
})

test('who has ended is not kept as a zombie, whichever thread of the spawner the signal went to', {
  skip,
}, async () => {
  for (let round = 0; round < 10; round += 1) await runOne()
  const spawner = processes().find(({ name, parent }) => name === 'drydock-spawner' && parent === process.pid)!.pid
  const children = (): string[] =>
    readFileSync(`/proc/${spawner}/task/${spawner}/children`, 'utf8').trim().split(' ').filter(Boolean)
  // The last shim, or a spare that is not needed any more, may be on its way out.
  while (children().length > 1) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(children(), [`${await theSpare()}`])
})

test('it goes with its spawner', { skip }, async () => {
  const own = await ShimBed.start()
  const spare = await newestSpare()
  await own.close()
  while (processes().some(({ pid, name }) => pid === spare && name === 'drydock-spare'))
    await new Promise((resolve) => setTimeout(resolve, 5))
})

/** Of a second spawner beside the first. */
async function newestSpare(): Promise<number> {
  for (;;) {
    const all = processes()
    const spawners = all.filter(({ name, parent }) => name === 'drydock-spawner' && parent === process.pid)
    const newest = spawners.at(-1)!.pid
    const spare = all.find(({ name, parent }) => name === 'drydock-spare' && parent === newest)
    if (spawners.length === 2 && spare !== undefined) return spare.pid
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
