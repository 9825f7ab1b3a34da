/**
 * System calls in a row, with no JavaScript between them: syscall(2). Three places cannot do with less.
 *
 * - madvise(2) and clone3(2). V8 maps its pages MADV_DONTFORK. A page that it maps between our MADV_DOFORK and the fork
 *   is missing in the child, which then dies at its first touch; and any step of JavaScript may need a page, be it for a
 *   hidden class or for a collection.
 * - The last calls before a container's program: under its limits of memory V8 gets no page more, and under its filter
 *   none of the calls that V8 makes when it likes need be allowed.
 * - A process that shares its maker's memory, and has a stack and this row to run on.
 */
import koffi from 'koffi'
import { callSequenceListings } from './call-sequence.table.ts'
import { errnoNumbers } from './errno.table.ts'
import type { InitMachine } from './init-program.table.ts'
import { codeOf, isInitMachine } from './init-program.ts'
import { addressOf, SyscallError } from './libc.ffi.ts'
import { placeCode } from './machine-code.ffi.ts'
import { syscallsAarch64 } from './seccomp-aarch64.table.ts'
import { syscallsX64 } from './seccomp-x86-64.table.ts'

const runType = koffi.proto('intptr_t run(void *entries, intptr_t count, void *clone)')

const callTables = { x64: syscallsX64, arm64: syscallsAarch64 } as const

let callNumbers: Readonly<Record<string, number>> | undefined

export type SystemCall = {
  /** As the kernel calls it. */
  readonly name: string
  /** At most six. Of a buffer it is the address that counts; one with the address of another keeps that in `holds`. */
  readonly args: readonly (bigint | number | Buffer)[]
  readonly holds?: readonly Buffer[]
  /** Errors, as in errno(3), after which the row goes on; of the first 31. */
  readonly tolerates?: readonly (keyof typeof errnoNumbers)[]
  /** The first argument, whatever is given, is the result of the call before. */
  readonly continues?: true
  /** The same each time it is in a row: how it is written down is kept. */
  readonly fixed?: true
  /** What any other error is told as. */
  readonly failure: (errno: number) => Error
}

type Extra = Pick<SystemCall, 'tolerates' | 'continues' | 'holds' | 'fixed'> & {
  /** What was acted upon. */
  detail?: string
}

/** A call whose failure is a SyscallError. */
export const systemCall = (
  name: string,
  args: SystemCall['args'],
  { detail = '', ...extra }: Extra = {},
): SystemCall => ({ name, args, ...extra, failure: (errno) => new SyscallError(name, errno, detail) })

let code: bigint | undefined

function runAddress(): bigint {
  if (code !== undefined) return code
  if (!isInitMachine(process.arch)) throw new Error(`there is no code for ${process.arch}`)
  code = placeCode(codeOf(callSequenceListings[process.arch]))
  return code
}

const entrySize = 64
const fixedEntries = new WeakMap<SystemCall, Int32Array>()
const resultAt = 56
const continuesBit = 0x80000000
/** No call answers this. */
const notMade = -(2n ** 63n)

/** What the kernel and the row share: buffers must stay where they are, and alive, for as long as it is used. */
export class CallSequence {
  readonly #calls: SystemCall[]
  readonly #entries: Buffer
  readonly #words: Int32Array
  /** Stacks of processes that may be making the calls. */
  readonly #stacks: Buffer[] = []

  constructor(calls: readonly SystemCall[]) {
    this.#calls = [...calls]
    this.#entries = Buffer.allocUnsafeSlow(calls.length * entrySize).fill(0)
    this.#words = new Int32Array(this.#entries.buffer)
    for (const [index, call] of calls.entries()) this.#write(index, call)
  }

  #write(index: number, call: SystemCall): void {
    const start = index * (entrySize / 4)
    const kept = fixedEntries.get(call)
    if (kept !== undefined) {
      this.#words.set(kept, start)
      return
    }
    this.#encode(start, call)
    if (call.fixed === true) fixedEntries.set(call, this.#words.slice(start, start + entrySize / 4))
  }

  /** In halves of 32 bits: a row has a thousand words, and most are small numbers. */
  #encode(start: number, { name, args, continues, tolerates = [] }: SystemCall): void {
    callNumbers ??= callTables[process.arch as InitMachine]()
    let at = start
    this.#words[at++] = (callNumbers[name] as number) | (continues ? continuesBit : 0)
    this.#words[at++] = tolerates.reduce((set, error) => set | (1 << errnoNumbers[error]), 0)
    for (const arg of args) {
      if (typeof arg === 'number') {
        this.#words[at++] = arg | 0
        this.#words[at++] = Math.floor(arg / 2 ** 32)
      } else {
        const value = typeof arg === 'bigint' ? arg : addressOf(arg)
        this.#words[at++] = Number(BigInt.asIntN(32, value))
        this.#words[at++] = Number(BigInt.asIntN(32, value >> 32n))
      }
    }
  }

  /** Another last call. Precondition: whoever makes the calls waits in one before it. */
  replaceLast(call: SystemCall): void {
    const index = this.#calls.length - 1
    this.#calls[index] = call
    this.#write(index, call)
  }

  /** Makes the calls, and answers the last one's result; throws the failure of the first that failed. */
  run(): bigint {
    if (this.#calls.length === 0) return 0n
    this.#forget()
    koffi.call(runAddress(), runType, this.#entries, this.#calls.length, null)
    const failure = this.failure()
    if (failure !== undefined) throw failure
    return this.#result(this.#calls.length - 1)
  }

  /**
   * Has a new process make the calls, which ends with 127 when one fails. Its number, or a negative error. Until it has
   * executed its program or ended, this must be kept.
   *
   * @param cloneArgs struct clone_args, with `stack` in it
   */
  spawn(cloneArgs: Buffer, stack: Buffer): number {
    this.#forget()
    this.#stacks.push(stack)
    return Number(koffi.call(runAddress(), runType, this.#entries, this.#calls.length, cloneArgs))
  }

  /** Of the call that ended the row; undefined while none did. */
  failure(): Error | undefined {
    for (const [index, { tolerates = [], failure }] of this.#calls.entries()) {
      const result = this.#result(index)
      if (result === notMade) return undefined
      const errno = -Number(result)
      if (errno > 0 && !tolerates.some((error) => errnoNumbers[error] === errno)) return failure(errno)
    }
    return undefined
  }

  #result(index: number): bigint {
    return this.#entries.readBigInt64LE(index * entrySize + resultAt)
  }

  #forget(): void {
    for (let index = 0; index < this.#calls.length; index += 1)
      this.#entries.writeBigInt64LE(notMade, index * entrySize + resultAt)
  }
}

/** Makes the calls one after the other. Throws the failure of the first that failed: those behind it were not made. */
export const makeCalls = (calls: readonly SystemCall[]): bigint => new CallSequence(calls).run()
