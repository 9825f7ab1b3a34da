/** Machine code of a listing in this process's memory: mmap(2), mprotect(2). */
import { declare, declarePlain } from './libc.ffi.ts'

const cMmap = declarePlain(
  'intptr_t mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
)
const cMemcpy = declarePlain('uintptr_t memcpy(uintptr_t to, void *from, size_t length)')
const cMprotect = declare('mprotect', 'int mprotect(uintptr_t address, size_t length, int protection)')

const PROT_READ = 1
const PROT_WRITE = 2
const PROT_EXEC = 4
const MAP_PRIVATE = 2
const MAP_ANONYMOUS = 0x20

/** Its address. Never writable and executable at once; it stays for the process's life, and for what is forked of it. */
export function placeCode(bytes: Buffer): bigint {
  const address = cMmap(null, bytes.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  if (Number(address) === -1) throw new Error('mmap of a page for code failed')
  cMemcpy(address, bytes, bytes.length)
  cMprotect(address, bytes.length, PROT_READ | PROT_EXEC)
  return BigInt(address)
}
