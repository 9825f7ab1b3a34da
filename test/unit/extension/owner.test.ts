import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { isOrphan, ownerLabel, ownerLabels, processName } from '../../../extension/terminal/owner.ts'

test('a container of a process that runs is no orphan, one of a process that ended is', async () => {
  assert.equal(isOrphan(ownerLabels()), false)
  const child = spawn('sleep', ['60'])
  const name = processName(child.pid ?? 0)
  assert.ok(name)
  assert.equal(isOrphan({ [ownerLabel]: name }), false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(isOrphan({ [ownerLabel]: name }), true)
})

test('a process with the same number that started at another time is another process', () => {
  const name = processName(process.pid) ?? ''
  assert.equal(isOrphan({ [ownerLabel]: name.replace(/\d+$/, '1') }), true)
})

test('of other namespaces, and without an owner, nothing is an orphan', () => {
  for (const owner of ['pid:[1]/1/1', 'nonsense', '']) assert.equal(isOrphan({ [ownerLabel]: owner }), false)
  assert.equal(isOrphan({}), false)
  assert.equal(isOrphan(null), false)
})
