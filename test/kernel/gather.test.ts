/** Pieces of memory written in one call: all of them, in order, also where a call takes only some. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import * as descriptors from '../../engine/kernel/descriptors.ffi.ts'
import { Gather, PieceSource } from '../../engine/kernel/gather.ffi.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'

const text = Buffer.from(Array.from({ length: 40_000 }, (_, index) => `${index}\n`).join(''))
const source = new PieceSource(text)

/** All of `text`, in pieces of every size. */
function fill(gather: Gather): void {
  for (let from = 0, size = 1; from < text.length; size = (size % 977) + 1) {
    const length = Math.min(size, text.length - from)
    gather.add(source, from, length)
    from += length
  }
}

test('pieces come out in order, and a shortened one without its end', () => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-gather-'))
  using _directory = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
  const fd = openSync(join(directory, 'file'), 'w')
  using _fd = { [Symbol.dispose]: () => closeSync(fd) }
  const gather = new Gather()
  fill(gather)
  gather.add(source, 0, 0)
  gather.shorten(1)
  assert.equal(gather.bytes, text.length - 1)
  gather.write(fd)
  assert.equal(gather.bytes, 0)
  gather.add(source, text.length - 1, 1)
  gather.write(fd)
  assert.ok(readFileSync(join(directory, 'file')).equals(text))
})

test('a call that a signal cuts short goes on where it stopped', async () => {
  let signals = 0
  const count = (): void => {
    signals += 1
  }
  process.on('SIGWINCH', count)
  const { readEnd, writeEnd } = descriptors.pipe()
  // The pipe takes a quarter: the call is in the middle when the signal comes.
  const reader = spawn('sh', ['-c', `sleep 0.3; kill -WINCH ${process.pid}; sleep 0.1; exec cat`], {
    stdio: [readEnd, 'pipe', 'inherit'],
  })
  closeSync(readEnd)
  const output = reader.stdout!.toArray()
  const gather = new Gather()
  fill(gather)
  gather.write(writeEnd)
  closeSync(writeEnd)
  assert.ok(Buffer.concat(await output).equals(text))
  process.off('SIGWINCH', count)
  assert.equal(signals, 1)
})

test('a failure is told, and the next write begins anew', () => {
  const { readEnd, writeEnd } = descriptors.pipe()
  using _ends = { [Symbol.dispose]: () => [readEnd, writeEnd].forEach((fd) => void closeSync(fd)) }
  descriptors.setNonBlocking(writeEnd, true)
  const gather = new Gather()
  fill(gather)
  assert.throws(
    () => gather.write(writeEnd),
    (error) => isErrno(error, 'EAGAIN'),
  )
  const taken = Buffer.alloc(65536)
  descriptors.read(readEnd, taken)
  assert.ok(taken.equals(text.subarray(0, taken.length)))
  gather.add(source, 0, 5)
  gather.write(writeEnd)
  assert.equal(descriptors.read(readEnd, taken), 5)
})
