/** Descriptors over unix sockets, and listeners for processes without an event loop. */
import assert from 'node:assert/strict'
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { close } from '../../engine/kernel/descriptors.ffi.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import {
  acceptNext,
  connect,
  listen,
  receiveDescriptors,
  sendDescriptors,
  socketPair,
} from '../../engine/kernel/unix-socket.ffi.ts'

const inDirectory = (work: (directory: string) => void): void => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-socket-'))
  try {
    work(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('an open file goes over a socket, with its data, close-on-exec', () => {
  inDirectory((directory) => {
    const path = join(directory, 'file')
    writeFileSync(path, 'content')
    const [ours, theirs] = socketPair()
    const sent = openSync(path, 'r')
    sendDescriptors(ours, Buffer.from('/dev/ptmx'), [sent, ours])
    const { data, descriptors } = receiveDescriptors(theirs)
    assert.equal(data.toString(), '/dev/ptmx')
    assert.equal(descriptors.length, 2)
    const [file, socket] = descriptors as [number, number]
    assert.equal(fstatSync(file).ino, fstatSync(sent).ino)
    assert.match(readFileSync(`/proc/self/fdinfo/${file}`, 'utf8'), /flags:\s*0?2\d{6}/)
    for (const fd of [file, sent]) closeSync(fd)
    for (const fd of [socket, ours]) close(fd)
    assert.equal(receiveDescriptors(theirs).data.length, 0, 'the end of the stream')
    close(theirs)
  })
})

test('a connection waits for its listener; without one it is refused', () => {
  inDirectory((directory) => {
    const path = join(directory, 'gate')
    assert.throws(
      () => connect(path),
      (error) => isErrno(error, 'ENOENT'),
    )
    const listener = listen(path, { blocking: true })
    const caller = connect(path)
    const called = acceptNext(listener)
    sendDescriptors(called, Buffer.from('x'), [called])
    assert.equal(receiveDescriptors(caller).data.toString(), 'x')
    for (const fd of [caller, called, listener]) close(fd)
    assert.throws(
      () => connect(path, { wait: false }),
      (error) => isErrno(error, 'ECONNREFUSED'),
    )
  })
})
