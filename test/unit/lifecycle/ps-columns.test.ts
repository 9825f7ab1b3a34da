import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { readProcess } from '../../../engine/lifecycle/proc.ts'
import { columnsOf } from '../../../engine/lifecycle/ps-columns.ts'

const titles = (options: string): string[] => columnsOf(options).map(({ title }) => title)

test('the columns of the usual options', () => {
  const full = ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']
  const bsd = ['USER', 'PID', '%CPU', '%MEM', 'VSZ', 'RSS', 'TTY', 'STAT', 'START', 'TIME', 'COMMAND']
  assert.deepEqual(titles('-ef'), full)
  for (const options of ['aux', '-aux', 'auxww']) assert.deepEqual(titles(options), bsd, options)
  assert.deepEqual(titles('-eo pid,comm'), ['PID', 'COMMAND'])
  assert.deepEqual(titles('-o pid -o args=WHAT'), ['PID', 'WHAT'])
  assert.deepEqual(titles('-opid,cmd'), ['PID', 'CMD'])
  assert.deepEqual(titles('axo user,%mem'), ['USER', '%MEM'])
})

test('what it does not know is refused', () => {
  for (const options of ['-o nope', '--forest', '-Z'])
    assert.throws(
      () => columnsOf(options),
      (error) => isKind(error, 'invalid'),
    )
})

test('this process, as the kernel knows it', () => {
  const self = readProcess(process.pid)
  assert.ok(self !== undefined)
  assert.equal(self.pid, process.pid)
  assert.equal(self.ppid, process.ppid)
  assert.equal(self.uid, process.geteuid?.())
  assert.ok(self.commandLine.includes('ps-columns.test.ts'))
  assert.ok(self.residentSize > 1 << 20)
  for (const { show, title } of columnsOf('aux')) assert.notEqual(show(self), '', title)
  assert.equal(readProcess(2 ** 22 + 1), undefined)
})
