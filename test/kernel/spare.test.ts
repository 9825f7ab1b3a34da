/** The shim that is forked before anybody asks: who gets it, and what becomes of it. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { ShimBed } from './shim-bed.ts'

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

async function theSpare(): Promise<number> {
  for (;;) {
    const [pid, ...others] = spares()
    assert.deepEqual(others, [])
    if (pid !== undefined) return pid
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
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

test('the next container has it, and there is another one then', { skip }, async () => {
  const first = await theSpare()
  assert.equal(await runOne(), first)
  const second = await theSpare()
  assert.notEqual(second, first)
  assert.equal(await runOne(), second)
})

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
  const spare = await theSpare()
  // The last shim may be on its way out.
  while (children().length > 1) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(children(), [`${spare}`])
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
