/** What is said to be supported can be applied, and what is left out is named; the tree shows the groups as they are. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { supportedResources } from '../../engine/cgroup/support.ts'
import { cgroupTree } from '../../engine/cgroup/tree.ts'
import type { OciResources } from '../../engine/spec/oci.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const MB = 1024 * 1024

test('everything at once: what remains is taken by the kernel', { skip }, () => {
  const host = detectCgroups()
  const asked: OciResources = {
    memory: { limit: 64 * MB, swap: 128 * MB, reservation: 32 * MB, swappiness: 10, disableOOMKiller: true },
    cpu: { shares: 512, quota: 10000, period: 100000, cpus: '0', mems: '0' },
    pids: { limit: 10 },
    blockIO: { weight: 300 },
  }
  const { resources, warnings } = supportedResources(host, asked)
  using cleanup = new DisposableStack()
  const group = host.group(`/drydock-test-${process.pid}`)
  cleanup.defer(() => group.remove())
  group.create()
  group.apply(resources)
  if (host.version === 2) {
    assert.equal(resources.memory?.swappiness, undefined)
    assert.ok(warnings.some((warning) => warning.includes('swappiness')))
    assert.ok(warnings.some((warning) => warning.includes('OomKillDisable')))
  }
  assert.equal(
    resources.blockIO?.weight === undefined,
    warnings.some((warning) => warning.includes('I/O weight')),
  )
  assert.deepEqual(supportedResources(host, {}), { resources: {}, warnings: [] })
})

test('what a daemon left that was killed while it looked is gone with the next', { skip }, () => {
  const host = detectCgroups()
  const { pid } = spawnSync('true')
  const left = host.group(`/drydock-probe-${pid}`)
  using cleanup = new DisposableStack()
  cleanup.defer(() => left.remove())
  left.create()
  // One that is looking keeps its own.
  const busy = host.group(`/drydock-probe-${process.ppid}`)
  busy.create()
  cleanup.defer(() => busy.remove())
  supportedResources(host, {})
  for (const directory of Object.values(left.directories)) assert.equal(existsSync(directory), false)
  for (const directory of Object.values(busy.directories)) assert.equal(existsSync(directory), true)
})

test('the tree: members, limits, groups below', { skip }, async () => {
  const host = detectCgroups()
  const top = `/drydock-test-tree-${process.pid}`
  using cleanup = new DisposableStack()
  cleanup.defer(() => host.group(top).remove())
  const group = host.group(`${top}/one`)
  group.create()
  cleanup.defer(() => group.kill(5000))
  group.apply({ memory: { limit: 32 * MB, swap: 32 * MB }, cpu: { quota: 50000, period: 100000 }, pids: { limit: 7 } })
  const child = spawn('/bin/sleep', ['100'], { stdio: 'ignore' })
  group.enter(child.pid as number)
  const { Version, Root } = cgroupTree(host, top)
  assert.equal(Version, host.version)
  assert.deepEqual(
    Root.Children.map(({ Path }) => Path),
    [`${top}/one`],
  )
  const [one] = Root.Children
  assert.deepEqual([one?.Processes, one?.MemoryLimit, one?.CpuLimit, one?.PidsLimit], [[child.pid], 32 * MB, 0.5, 7])
  assert.equal(Root.PidsLimit, null)
  assert.deepEqual(cgroupTree(host, `${top}/none`).Root.Children, [])
  const exit = once(child, 'exit')
  group.kill(5000)
  await exit
})
