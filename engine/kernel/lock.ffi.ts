/** Advisory locks on files: flock(2). The kernel lets go of one when its last descriptor is closed, also by kill -9. */
import { errnoNumbers } from './errno.table.ts'
import { declareRaw, SyscallError } from './libc.ffi.ts'

const cFlock = declareRaw('int flock(int fd, int operation)')

const LOCK_EX = 2
const LOCK_NB = 4

/**
 * Locks the open file for the caller alone, without waiting. False when somebody else has it. The descriptor must be
 * close-on-exec (Node's are), or children would keep the lock.
 */
export function tryLock(fd: number): boolean {
  let result: number
  do result = cFlock(fd, LOCK_EX | LOCK_NB)
  while (result === -errnoNumbers.EINTR)
  if (result === -errnoNumbers.EAGAIN) return false
  if (result < 0) throw new SyscallError('flock', -result, `descriptor ${fd}`)
  return true
}
