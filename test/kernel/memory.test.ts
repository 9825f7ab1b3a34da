/** Giving back memory loses nothing: pages of files come back, and pages that are no file's stay. */
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addressOf, declare, declarePlain } from '../../engine/kernel/libc.ffi.ts'
import { returnFreePages, returnUnusedMemory } from '../../engine/kernel/memory.ffi.ts'

const cMmap = declarePlain(
  'uintptr_t mmap(uintptr_t at, size_t length, int protection, int flags, int fd, long offset)',
)
const cMprotect = declare('mprotect', 'int mprotect(uintptr_t at, size_t length, int protection)')
const cMunmap = declare('munmap', 'int munmap(uintptr_t at, size_t length)')
const cMemcpy = declarePlain('uintptr_t memcpy(uintptr_t to, uintptr_t from, size_t length)')

const PROT_READ = 1
const PROT_WRITE = 2
const MAP_PRIVATE = 2
const page = 4096
const pages = 32

/** A private mapping of a file whose pages are all `a`. */
class MappedFile implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'drydock-memory-'))
  readonly #address: number | bigint

  constructor() {
    const path = join(this.#directory, 'file')
    writeFileSync(path, Buffer.alloc(pages * page, 'a'))
    const fd = openSync(path, 'r')
    this.#address = cMmap(0, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)
    closeSync(fd)
    this.seal()
  }

  write(index: number, text: string): void {
    cMprotect(this.#address, pages * page, PROT_READ | PROT_WRITE)
    cMemcpy(BigInt(this.#address) + BigInt(index * page), addressOf(Buffer.from(text)), text.length)
    this.seal()
  }

  seal(): void {
    cMprotect(this.#address, pages * page, PROT_READ)
  }

  read(): string {
    const copy = Buffer.alloc(pages * page)
    cMemcpy(addressOf(copy), this.#address, copy.length)
    return copy.toString('latin1')
  }

  /** Pages that are in this process's memory. */
  get resident(): number {
    const entry = readFileSync('/proc/self/smaps', 'utf8').split(`\n${BigInt(this.#address).toString(16)}-`)[1]
    return Number(/^Rss: +(\d+) kB/m.exec(entry ?? '')?.[1]) / 4
  }

  [Symbol.dispose](): void {
    cMunmap(this.#address, pages * page)
    rmSync(this.#directory, { recursive: true })
  }
}

test('clean pages of a file go, and read as before', () => {
  using file = new MappedFile()
  const before = file.read()
  assert.equal(file.resident, pages)
  returnFreePages()
  assert.equal(file.resident, 0)
  assert.equal(file.read(), before)
})

test('a page that was changed and then made read-only keeps its change', () => {
  using file = new MappedFile()
  file.write(3, 'changed')
  returnFreePages()
  assert.equal(file.read().slice(3 * page, 3 * page + 7), 'changed')
})

test('the program that does so goes on, and its heap is smaller afterwards', () => {
  let garbage: unknown[] | undefined = Array.from({ length: 300_000 }, (_, index) => ({ index }))
  const before = process.memoryUsage().rss
  assert.equal(garbage.length, 300_000)
  garbage = undefined
  returnUnusedMemory()
  assert.ok(process.memoryUsage().rss < before - (8 << 20), `${before} → ${process.memoryUsage().rss}`)
  returnUnusedMemory()
  assert.equal(JSON.parse('{"still":[1,2,3]}').still.length, 3)
})
