/** Threads that unpack: beside each other, stopped in the middle, lost in the middle. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { isKind } from '../../engine/base/errors.ts'
import { plainEntry, tarEnd, tarHeader } from '../../engine/images/tar-writer.ts'
import type { Unpacked } from '../../engine/images/unpack.ts'
import { Unpackers } from '../../engine/images/unpackers.ts'
import { ImageBed, needsRoot, openDescriptors, tarOf } from './image-bed.ts'

const options = { skip: needsRoot }
const limits = { maxBytes: 1e9, maxEntries: 1e6 }

/** What a thread of this process is called; '' when it has just ended. */
function nameOf(id: string): string {
  try {
    return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

/** How many threads of this process unpack. */
const threads = (): number => readdirSync('/proc/self/task').filter((id) => nameOf(id) === 'unpack').length

async function until(seen: () => boolean): Promise<void> {
  while (!seen()) await sleep(5)
}

type Fed = AsyncDisposable & {
  directory: string
  done: Promise<Unpacked>
  write(bytes: Buffer): Promise<void>
  end(): Promise<void>
}

/** A layer that arrives as the test says: its blob is a fifo. */
async function fed(bed: ImageBed, unpackers: Unpackers, name: string, signal?: AbortSignal): Promise<Fed> {
  const path = join(bed.root, `${name}.fifo`)
  execFileSync('mkfifo', [path])
  const staged = await bed.snapshotter.stage()
  const opened: Promise<FileHandle> = open(path, 'w')
  const done = unpackers.unpack({ path, size: 1e9 }, staged.directory, { ...limits, ...(signal && { signal }) })
  done.catch(() => {})
  const writer = await opened
  return {
    directory: staged.directory,
    done,
    write: async (bytes) => void (await writer.write(bytes)),
    end: () => writer.close(),
    [Symbol.asyncDispose]: async () => {
      await writer.close().catch(() => {})
      await done.catch(() => {})
      await staged.discard()
    },
  }
}

test('two layers are unpacked at the same time, and end in any order', options, async () => {
  await using bed = new ImageBed()
  await using unpackers = new Unpackers({ threads: 2 })
  await using first = await fed(bed, unpackers, 'first')
  await using second = await fed(bed, unpackers, 'second')
  const archive = await tarOf([{ name: 'a' }, 'x'.repeat(1000)], [{ name: 'b' }, 'y'])
  for (const layer of [first, second]) await layer.write(archive.subarray(0, 1024))
  // Both are in the middle of the same file: neither has waited for the other.
  await until(() => [first, second].every(({ directory }) => existsSync(join(directory, 'a'))))
  for (const layer of [second, first]) {
    await layer.write(archive.subarray(1024))
    await layer.end()
    assert.equal((await layer.done).bytes, archive.length)
    assert.ok(existsSync(join(layer.directory, 'b')))
  }
})

test('there are no more threads than allowed, and none a while after the work', options, async () => {
  await using bed = new ImageBed()
  await using unpackers = new Unpackers({ threads: 2, threadsFrom: 0 })
  const archive = await tarOf([{ name: 'a' }, 'x'])
  const path = join(bed.root, 'archive')
  writeFileSync(path, archive)
  const most: number[] = []
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const staged = await bed.snapshotter.stage()
      await unpackers.unpack({ path, size: archive.length }, staged.directory, limits)
      most.push(threads())
      await staged.discard()
    }),
  )
  assert.equal(Math.max(...most), 2)
  await until(() => threads() === 0)
})

test('a layer nobody wants any more is given up in the middle, and its thread takes the next', options, async () => {
  await using bed = new ImageBed()
  await using unpackers = new Unpackers({ threads: 1, threadsFrom: 0 })
  const controller = new AbortController()
  const archive = await tarOf([{ name: 'd/', type: 'directory' }], [{ name: 'd/a' }, 'x'.repeat(1000)])
  const before = openDescriptors()
  {
    await using layer = await fed(bed, unpackers, 'left', controller.signal)
    await layer.write(archive.subarray(0, 1536))
    await until(() => existsSync(join(layer.directory, 'd/a')))
    controller.abort(new Error('gone away'))
    await layer.write(archive.subarray(1536))
    await layer.end()
    await assert.rejects(layer.done, /^Error: gone away$/)
  }
  await using next = await fed(bed, unpackers, 'next')
  await next.write(archive)
  await next.end()
  await next.done
  assert.equal(threads(), 1)
  await unpackers[Symbol.asyncDispose]()
  await bed.snapshotter.settled()
  assert.equal(openDescriptors(), before)
})

/** Directories whose paths are as long as paths may be, so that a few of them take a lot of memory. */
function heavyArchive(): Buffer {
  const long = Array.from({ length: 15 }, () => 'n'.repeat(250)).join('/')
  const entries = Array.from({ length: 8000 }, (_, at) => tarHeader(plainEntry(`${long}/${at}/`, 'directory', 0o755)))
  return gzipSync(Buffer.concat([...entries, tarEnd]))
}

test('a layer that takes too much memory takes its thread with it, and nothing else', options, async () => {
  await using bed = new ImageBed()
  await using unpackers = new Unpackers({ threads: 1, threadsFrom: 0, heap: 16 })
  const before = openDescriptors()
  const path = join(bed.root, 'archive')
  writeFileSync(path, heavyArchive())
  const staged = await bed.snapshotter.stage()
  await assert.rejects(
    unpackers.unpack({ path, size: 1 }, staged.directory, limits),
    (error: unknown) => isKind(error, 'invalid') && /takes more than 16 MiB of memory/.test(error.message),
  )
  // It had directories of the tree open, and nobody was left who knew of them.
  assert.equal(openDescriptors(), before)
  await staged.discard()
  await bed.snapshotter.settled()
  writeFileSync(path, await tarOf([{ name: 'a' }, 'x']))
  const next = await bed.snapshotter.stage()
  assert.equal((await unpackers.unpack({ path, size: 1 }, next.directory, limits)).ownRoot, false)
  await next.discard()
})

test('an engine that stops ends its threads, whatever they do', options, async () => {
  await using bed = new ImageBed()
  const before = openDescriptors()
  const unpackers = new Unpackers({ threads: 1, threadsFrom: 0 })
  await using layer = await fed(bed, unpackers, 'cut')
  await layer.write((await tarOf([{ name: 'a' }, 'x'.repeat(1000)])).subarray(0, 1024))
  await until(() => existsSync(join(layer.directory, 'a')))
  const ended = unpackers[Symbol.asyncDispose]()
  await layer.end()
  await ended
  await assert.rejects(
    layer.done,
    (error: unknown) => isKind(error, 'internal') && /thread .* ended/.test(error.message),
  )
  assert.equal(openDescriptors(), before)
})
