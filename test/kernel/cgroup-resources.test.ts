/** Every resource of config-linux.md as the group's files show it, on whichever cgroup version the machine has. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import type { Cgroup } from '../../engine/cgroup/cgroup.ts'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { OciResources } from '../../engine/spec/oci.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const MB = 1024 * 1024

function newGroup(): Cgroup & Disposable {
  const group = detectCgroups().group(`/drydock-test-${process.pid}/resources`)
  group.create()
  return Object.assign(group, {
    [Symbol.dispose]: () => {
      group.remove()
      detectCgroups().group(`/drydock-test-${process.pid}`).remove()
    },
  })
}

type Expected = Record<string, string | RegExp>
type Case = { name: string; resources: OciResources; v1?: Expected | RegExp; v2?: Expected | RegExp }

/** Files by name; on v1 the controller is what stands before the dot, where it is not told. */
function directoryOf(group: Cgroup, file: string): string | undefined {
  if (group.version === 2) return group.directories.unified
  const controller = file.split('.')[0]!
  return group.directories[controller]
}

/** A pattern in place of files: that is how it is refused. */
const cases: readonly Case[] = [
  {
    name: 'memory',
    resources: { memory: { limit: 64 * MB, swap: 128 * MB, reservation: 32 * MB } },
    v1: { 'memory.limit_in_bytes': String(64 * MB), 'memory.soft_limit_in_bytes': String(32 * MB) },
    v2: { 'memory.max': String(64 * MB), 'memory.low': String(32 * MB) },
  },
  {
    name: 'no limit of memory',
    resources: { memory: { limit: 2 ** 63, reservation: -1 } },
    v1: { 'memory.limit_in_bytes': /^9223372036854771712$/, 'memory.soft_limit_in_bytes': /^9223372036854771712$/ },
    v2: { 'memory.max': 'max', 'memory.low': '0' },
  },
  {
    name: 'swappiness, the killer, and hierarchy',
    resources: { memory: { swappiness: 10, disableOOMKiller: true, useHierarchy: true, kernel: 5 } },
    v1: { 'memory.swappiness': '10', 'memory.oom_control': /oom_kill_disable 1/ },
    v2: /memory swappiness per group does not exist on cgroup v2/,
  },
  {
    name: 'memory without a hierarchy',
    resources: { memory: { useHierarchy: false } },
    v1: /memory\.use_hierarchy to 0: EINVAL/,
    v2: /always counted hierarchically/,
  },
  {
    name: 'TCP buffers',
    resources: { memory: { kernelTCP: 4 * MB } },
    v1: { 'memory.kmem.tcp.limit_in_bytes': String(4 * MB) },
    v2: /TCP buffers/,
  },
  {
    name: 'shares',
    resources: { cpu: { shares: 512 } },
    v1: { 'cpu.shares': '512' },
    v2: { 'cpu.weight': '59' },
  },
  {
    name: 'quota, period and burst',
    resources: { cpu: { quota: 30_000, period: 50_000, burst: 20_000 } },
    v1: { 'cpu.cfs_quota_us': '30000', 'cpu.cfs_period_us': '50000', 'cpu.cfs_burst_us': '20000' },
    v2: { 'cpu.max': '30000 50000', 'cpu.max.burst': '20000' },
  },
  { name: 'idle', resources: { cpu: { idle: 1 } }, v1: { 'cpu.idle': '1' }, v2: { 'cpu.idle': '1' } },
  {
    name: 'processors and memory nodes',
    resources: { cpu: { cpus: '0', mems: '0' } },
    v1: { 'cpuset.cpus': '0', 'cpuset.mems': '0' },
    v2: { 'cpuset.cpus': '0', 'cpuset.mems': '0' },
  },
  { name: 'processes', resources: { pids: { limit: 33 } }, v1: { 'pids.max': '33' }, v2: { 'pids.max': '33' } },
  {
    name: 'no limit of processes',
    resources: { pids: { limit: -1 } },
    v1: { 'pids.max': 'max' },
    v2: { 'pids.max': 'max' },
  },
  {
    name: 'network classes',
    resources: { network: { classID: 0x100001 } },
    v1: { 'net_cls.classid': String(0x100001) },
    v2: /network\.classID does not exist on cgroup v2/,
  },
  {
    name: 'network priorities',
    resources: { network: { priorities: [{ name: 'lo', priority: 7 }] } },
    v1: { 'net_prio.ifpriomap': /^lo 7$/m },
    v2: /network\.priorities do not exist on cgroup v2/,
  },
  {
    name: 'huge pages',
    resources: { hugepageLimits: [{ pageSize: '2MB', limit: 4 * MB }] },
    v1: { 'hugetlb.2MB.limit_in_bytes': String(4 * MB), 'hugetlb.2MB.rsvd.limit_in_bytes': String(4 * MB) },
    v2: { 'hugetlb.2MB.max': String(4 * MB), 'hugetlb.2MB.rsvd.max': String(4 * MB) },
  },
  {
    name: 'leaf weight',
    resources: { blockIO: { leafWeight: 100 } },
    v1: { 'blkio.leaf_weight': '100' },
    v2: /leaf weights of block I\/O do not exist/,
  },
  { name: 'weight of I/O', resources: { blockIO: { weight: 200 } }, v1: { 'blkio.bfq.weight': '200' } },
  {
    name: 'files of v2',
    resources: { unified: { 'memory.high': String(48 * MB), 'cgroup.max.depth': '3' } },
    v1: /settings by cgroup v2 file need cgroup v2/,
    v2: { 'memory.high': String(48 * MB), 'cgroup.max.depth': '3' },
  },
  {
    name: 'files of v2 that are switches',
    resources: { unified: { 'cgroup.freeze': '1' } },
    v1: /need cgroup v2/,
    v2: /"cgroup\.freeze" is not a limit/,
  },
  {
    name: 'files of v2 that do not exist',
    resources: { unified: { 'nosuch.max': '1' } },
    v1: /need cgroup v2/,
    v2: /nosuch\.max to 1: this kernel has no such limit/,
  },
  {
    name: 'a file of v2 wins over the field',
    resources: { memory: { limit: 64 * MB }, unified: { 'memory.max': String(80 * MB) } },
    v1: /need cgroup v2/,
    v2: { 'memory.max': String(80 * MB) },
  },
  {
    name: 'real-time run time',
    resources: { cpu: { realtimeRuntime: 1000, realtimePeriod: 100_000 } },
    v2: /real-time limits do not exist on cgroup v2/,
  },
]

const refused = (group: Cgroup, resources: OciResources, words: RegExp): void =>
  assert.throws(
    () => group.apply(resources),
    (error) => {
      assert.ok(isKind(error, 'invalid') || isKind(error, 'unavailable'), String(error))
      assert.match(error.message, words)
      return true
    },
  )

for (const { name, resources, v1, v2 } of cases)
  test(name, { skip }, (t) => {
    using group = newGroup()
    const expected = group.version === 1 ? v1 : v2
    if (expected === undefined) {
      t.skip(`nothing is certain of it on cgroup v${group.version}`)
      return
    }
    if (expected instanceof RegExp) {
      refused(group, resources, expected)
      return
    }
    const missing = Object.keys(expected).filter((file) => !existsSync(`${directoryOf(group, file)}/${file}`))
    if (missing.length > 0) {
      // A kernel without it must not be silent about it.
      refused(group, resources, /no such controller is mounted|this kernel has no such limit/)
      return
    }
    group.apply(resources)
    for (const [file, value] of Object.entries(expected)) {
      const text = readFileSync(`${directoryOf(group, file)}/${file}`, 'utf8').trim()
      if (value instanceof RegExp) assert.match(text, value, file)
      else assert.equal(text, value, file)
    }
  })

test('quota and burst shrink and grow in place', { skip }, (t) => {
  using group = newGroup()
  const [directory, quotaFile, burstFile] =
    group.version === 1
      ? [group.directories.cpu!, 'cpu.cfs_quota_us', 'cpu.cfs_burst_us']
      : [group.directories.unified!, 'cpu.max', 'cpu.max.burst']
  if (!existsSync(`${directory}/${burstFile}`)) {
    t.skip('the kernel has no burst')
    return
  }
  for (const [quota, burst] of [
    [50_000, 50_000],
    [20_000, 10_000],
    [90_000, 80_000],
    [10_000, 0],
  ] as const) {
    group.apply({ cpu: { quota, period: 100_000, burst } })
    assert.equal(readFileSync(`${directory}/${burstFile}`, 'utf8').trim(), String(burst))
    assert.match(readFileSync(`${directory}/${quotaFile}`, 'utf8'), new RegExp(`^${quota}\\b`))
  }
})

test('an idle group gets shares again when it is not idle any more', { skip }, () => {
  using group = newGroup()
  const directory = group.version === 1 ? group.directories.cpu! : group.directories.unified!
  group.apply({ cpu: { idle: 1 } })
  group.apply({ cpu: { idle: 0, shares: 2048 } })
  const [file, value] = group.version === 1 ? ['cpu.shares', '2048'] : ['cpu.weight', '174']
  assert.equal(readFileSync(`${directory}/${file}`, 'utf8').trim(), value)
})

test('what is 0 or empty changes nothing', { skip }, () => {
  using group = newGroup()
  group.apply({ memory: { limit: 64 * MB } })
  group.apply({ memory: { limit: 0, swap: 0 }, cpu: { shares: 0, cpus: '' } })
  assert.equal(group.use().memory.limit, 64 * MB)
})

test('a limit below what is in use is refused where that is asked for', { skip }, async () => {
  using group = newGroup()
  const text = 'read line; x=$(head -c 40000000 /dev/zero | tr "\\0" a); echo full; read line'
  const child = spawn('sh', ['-c', text], { stdio: ['pipe', 'pipe', 'ignore'] })
  using _child = { [Symbol.dispose]: () => child.kill('SIGKILL') }
  group.enter(child.pid!)
  child.stdin.write('go\n')
  await once(child.stdout, 'data')
  const words =
    group.version === 2 ? /rejecting memory limit 1048576 <= usage/ : /unable to set memory limit to 1048576/
  refused(group, { memory: { limit: MB, checkBeforeUpdate: true } }, words)
  child.kill('SIGKILL')
  await once(child, 'exit')
})
