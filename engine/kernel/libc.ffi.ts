/**
 * The door to libc: declares C functions and turns their -1 into one exception. Everything that calls the kernel
 * directly is declared through here, in the *.ffi.ts file of its man-page family.
 */
import koffi from 'koffi'
import { errnoName } from './errno.table.ts'

const libc = koffi.load('libc.so.6')

/** A system call that the kernel refused: `mount tmpfs on /no/such: ENOENT`. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  readonly syscall: string
  readonly errno: number
  /** The symbolic name, as in errno(3): `ENOENT`. Also what Node's own errors call `code`. */
  readonly code: string

  constructor(syscall: string, errno: number, detail: string) {
    const code = errnoName(errno)
    super(`${syscall}${detail === '' ? '' : ` ${detail}`}: ${code}`)
    this.syscall = syscall
    this.errno = errno
    this.code = code
  }
}

/** Whether an error, ours or Node's, carries this errno name. */
export const isErrno = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code))

export type Argument = number | bigint | string | Buffer | null | readonly (string | null)[]
type RawCall = (...args: Argument[]) => number | bigint

/**
 * Declares `prototype` (C syntax) and returns a function that throws where C returns -1. `detail` says, from the
 * call's arguments, what was acted upon. errno is read in the statement right after the call: nothing may run between.
 */
export function declare(
  syscall: string,
  prototype: string,
  detail: (...args: Argument[]) => string = () => '',
): (...args: Argument[]) => number {
  const call = libc.func(prototype) as unknown as RawCall
  return (...args) => {
    const result = Number(call(...args))
    const errno = koffi.errno()
    if (result === -1) throw new SyscallError(syscall, errno, detail(...args))
    return result
  }
}

/** As `declare`, for callers that branch on the errno of an expected failure: returns -errno instead of throwing. */
export function declareRaw(prototype: string): (...args: Argument[]) => number {
  const call = libc.func(prototype) as unknown as RawCall
  return (...args) => {
    const result = Number(call(...args))
    const errno = koffi.errno()
    return result === -1 ? -errno : result
  }
}

/** For functions that cannot fail with -1 (getpid, umask …) or whose result is their own error (posix_*). */
export const declarePlain = (prototype: string): ((...args: Argument[]) => number | bigint) =>
  libc.func(prototype) as unknown as RawCall

const cDlsym = declarePlain('uintptr_t dlsym(intptr_t handle, const char *name)')
const RTLD_DEFAULT = 0

/** Where a function or a variable of the program or its libraries is; dlsym(3). */
export const symbolAddress = (name: string): bigint => BigInt(cDlsym(RTLD_DEFAULT, name))

/** The address of a buffer's first byte, for structs that hold pointers. The caller keeps the buffer alive. */
export const addressOf = (buffer: Buffer): bigint => koffi.address(buffer)
