/** Network devices that are given to a container, out of a network namespace that only this test is in. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { unshare } from '../../engine/kernel/namespaces.ffi.ts'
import { ShimBed, script } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' })

let bed: ShimBed
before(async () => {
  if (skip !== false) return
  // Of this thread, and so of every process that is started from here on.
  unshare(['network'])
  bed = await ShimBed.start()
})
after(() => bed?.close())

const look = script('ip -o address show; ip -o link show')

test('a device moves in with its address, MTU and hardware address, under another name, and is up', {
  skip,
}, async () => {
  ip('link', 'add', 'out', 'type', 'veth', 'peer', 'name', 'in')
  ip('link', 'set', 'in', 'mtu', '1400', 'address', '02:00:00:00:00:07')
  ip('address', 'add', '10.9.8.7/24', 'dev', 'in')
  ip('address', 'add', 'fd00::7/64', 'dev', 'in', 'nodad')
  ip('link', 'set', 'in', 'up')
  const { stdout, stderr } = await bed.run(look, {
    change: (spec) => {
      spec.linux!.netDevices = { in: { name: 'given0' } }
    },
  })
  assert.match(stdout, /given0\s+inet 10\.9\.8\.7\/24/, stderr)
  assert.match(stdout, /given0\s+inet6 fd00::7\/64/)
  assert.match(stdout, /given0@\S+: <[^>]*\bUP\b[^>]*> mtu 1400 .*02:00:00:00:00:07/)
  assert.throws(() => ip('link', 'show', 'in'), /does not exist/)
})

test('a device that is not there is named', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['true'], {
    change: (spec) => {
      spec.linux!.netDevices = { nothere: {} }
    },
  })
  using _bundle = bundle
  await assert.rejects(shim.create(), /linux\.netDevices\.nothere: .*ENODEV/)
})
