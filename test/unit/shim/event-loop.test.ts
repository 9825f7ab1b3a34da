import assert from 'node:assert/strict'
import { test } from 'node:test'
import { close, pipe, pollEvents, read, write } from '../../../engine/kernel/descriptors.ffi.ts'
import { EventLoop } from '../../../engine/shim/event-loop.ts'

test('at rest it says so once, and again after something happened', () => {
  const { readEnd, writeEnd } = pipe()
  const loop = new EventLoop()
  const said: string[] = []
  const byte = Buffer.alloc(1)
  loop.watch(readEnd, {
    wants: () => pollEvents.POLLIN,
    ready: () => {
      read(readEnd, byte)
      said.push('ready')
    },
  })
  loop.atRest(10, () => said.push('rest'))
  loop.after(100, () => write(writeEnd, byte))
  loop.after(200, () => loop.stop())
  loop.run()
  close(readEnd)
  close(writeEnd)
  assert.deepEqual(said, ['rest', 'ready', 'rest'])
})
