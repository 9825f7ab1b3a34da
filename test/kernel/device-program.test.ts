/** The kernel takes the device program and obeys it; also on the v2 side of a v1 machine. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseHierarchies } from '../../engine/cgroup/detect.ts'
import { waitUntil } from '../../engine/cgroup/files.ts'
import { attachedDevicePrograms, setDeviceProgram } from '../../engine/kernel/bpf.ffi.ts'
import { deviceProgram } from '../../engine/kernel/device-program.ts'
import { defaultDeviceRules } from '../../engine/spec/defaults.table.ts'
import type { OciDeviceRule } from '../../engine/spec/oci.ts'

const { unified } = parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'))
const skip =
  (process.getuid?.() !== 0 && 'needs root') || (unified === undefined && 'no cgroup2 is mounted, not even beside v1')

/** What a shell in the group can open for reading. */
async function readable(directory: string): Promise<string[]> {
  const script = 'read x; for d in null zero full; do (: < /dev/$d) 2>&- && echo $d; done; exit 0'
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  writeFileSync(`${directory}/cgroup.procs`, String(child.pid))
  child.stdin.end('go\n')
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk) => chunks.push(chunk))
  await once(child, 'close')
  return Buffer.concat(chunks).toString().split('\n').filter(Boolean)
}

test('attached, obeyed, replaced, never two at once', { skip }, async () => {
  const directory = `${unified}/drydock-test-devices-${process.pid}`
  using cleanup = new DisposableStack()
  mkdirSync(directory)
  cleanup.defer(() => {
    waitUntil(() => readFileSync(`${directory}/cgroup.procs`, 'utf8') === '', 2000)
    rmdirSync(directory)
  })
  const descriptor = cleanup.adopt(openSync(directory, 'r'), closeSync)
  const only = (minor: number): OciDeviceRule[] => [{ allow: true, type: 'c', major: 1, minor, access: 'rw' }]
  setDeviceProgram(descriptor, deviceProgram(only(3)))
  assert.deepEqual(await readable(directory), ['null'])
  const [first] = attachedDevicePrograms(descriptor)
  setDeviceProgram(descriptor, deviceProgram(only(5)))
  assert.deepEqual(await readable(directory), ['zero'])
  const after = attachedDevicePrograms(descriptor)
  assert.equal(after.length, 1)
  assert.notEqual(after[0], first)
  setDeviceProgram(descriptor, deviceProgram(defaultDeviceRules))
  assert.deepEqual(await readable(directory), ['null', 'zero', 'full'])
})

test('the verifier takes every kind of rule', { skip }, () => {
  const directory = `${unified}/drydock-test-verify-${process.pid}`
  using cleanup = new DisposableStack()
  mkdirSync(directory)
  cleanup.defer(() => rmdirSync(directory))
  const descriptor = cleanup.adopt(openSync(directory, 'r'), closeSync)
  const kinds: OciDeviceRule[][] = [
    [],
    [{ allow: true }],
    [{ allow: true }, { allow: false }],
    [{ allow: false, type: 'b', access: 'w' }],
    [
      { allow: true, type: 'a', major: 4, access: 'rm' },
      { allow: true, access: 'r' },
    ],
    Array.from(
      { length: 300 },
      (_, minor): OciDeviceRule => ({ allow: true, type: 'c', major: 9, minor, access: 'rw' }),
    ),
  ]
  for (const rules of kinds) {
    setDeviceProgram(descriptor, deviceProgram(rules))
    assert.equal(attachedDevicePrograms(descriptor).length, 1)
  }
  assert.throws(() => setDeviceProgram(descriptor, Buffer.alloc(16)), /bpf/)
  assert.equal(attachedDevicePrograms(descriptor).length, 1)
})
