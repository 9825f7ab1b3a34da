/**
 * System calls in a row, with no JavaScript between them: syscall(2). Two places cannot do with less.
 *
 * - madvise(2) and clone3(2). V8 maps its pages MADV_DONTFORK. A page that it maps between our MADV_DOFORK and the fork
 *   is missing in the child, which then dies at its first touch; and any step of JavaScript may need a page, be it for a
 *   hidden class or for a collection.
 * - The last calls before a container's program: under its limits of memory V8 gets no page more, and under its filter
 *   none of the calls that V8 makes when it likes need be allowed.
 */
import koffi from 'koffi'
import { callSequenceListings } from './call-sequence.table.ts'
import { type InitMachine, initListings } from './init-program.table.ts'
import { codeOf } from './init-program.ts'
import { addressOf, declare, declarePlain } from './libc.ffi.ts'

const cMmap = declarePlain(
  'intptr_t mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
)
const cMemcpy = declarePlain('uintptr_t memcpy(uintptr_t to, void *from, size_t length)')
const cMprotect = declare('mprotect', 'int mprotect(uintptr_t address, size_t length, int protection)')
const runType = koffi.proto('size_t run(void *entries, size_t count)')

const PROT_READ = 1
const PROT_WRITE = 2
const PROT_EXEC = 4
const MAP_PRIVATE = 2
const MAP_ANONYMOUS = 0x20

/** asm/unistd.h of each machine. */
const callNumbers = {
  x64: { capset: 126, clone3: 435, execve: 59, madvise: 28, prctl: 157, prlimit64: 302, seccomp: 317 },
  arm64: { capset: 91, clone3: 435, execve: 221, madvise: 233, prctl: 167, prlimit64: 261, seccomp: 277 },
} as const

export type SystemCall = {
  readonly name: keyof (typeof callNumbers)['x64']
  /** At most six. Of a buffer it is the address that counts; one with the address of another keeps that in `holds`. */
  readonly args: readonly (bigint | number | Buffer)[]
  readonly holds?: readonly Buffer[]
  /** What to throw when it fails, which ends the row; absent: it may fail. */
  readonly failure?: (errno: number) => Error
}

const isKnown = (machine: string): machine is InitMachine => Object.hasOwn(initListings, machine)

let code: bigint | undefined

/** Never writable and executable at once; it stays for the process's life, and for what is forked of it. */
function runAddress(): bigint {
  if (code !== undefined) return code
  if (!isKnown(process.arch)) throw new Error(`there is no code for ${process.arch}`)
  const bytes = codeOf(callSequenceListings[process.arch])
  const address = cMmap(null, bytes.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  if (Number(address) === -1) throw new Error('mmap of a page for code failed')
  cMemcpy(address, bytes, bytes.length)
  cMprotect(address, bytes.length, PROT_READ | PROT_EXEC)
  code = BigInt(address)
  return code
}

const entrySize = 64
const resultAt = 56

/**
 * Prepares `calls` to be made one after the other, however often the returned function is called; it answers the last
 * one's result. Throws the `failure` of the call that had to succeed and did not: those behind it were not made.
 */
export function callSequence(calls: readonly SystemCall[]): () => bigint {
  const entries = Buffer.allocUnsafeSlow(calls.length * entrySize).fill(0)
  const numbers = callNumbers[process.arch as InitMachine]
  for (const [index, { name, args, failure }] of calls.entries()) {
    const at = index * entrySize
    entries.writeUInt32LE(numbers[name], at)
    entries.writeUInt32LE(failure === undefined ? 0 : 1, at + 4)
    for (const [place, arg] of args.entries())
      entries.writeBigInt64LE(
        BigInt.asIntN(64, Buffer.isBuffer(arg) ? addressOf(arg) : BigInt(arg)),
        at + 8 + place * 8,
      )
  }
  const address = runAddress()
  // What the entries point to is only held by `calls`, and `calls` by this function.
  return () => {
    const left = Number(koffi.call(address, runType, entries, calls.length))
    const last = left === 0 ? calls.length - 1 : calls.length - left
    const result = entries.readBigInt64LE(last * entrySize + resultAt)
    if (left !== 0) throw calls[last]!.failure!(-Number(result))
    return result
  }
}
