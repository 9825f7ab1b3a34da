/** seccomp(2): loads a filter into the calling thread, for good. */
import { arch } from 'node:process'
import { errnoNumbers } from './errno.table.ts'
import { addressOf, declare, declareRaw, SyscallError } from './libc.ffi.ts'
import { flagSpecAllow, type SeccompFilter } from './seccomp-program.ts'

const cSeccomp = declareRaw('long syscall(long number, unsigned int operation, unsigned int flags, void *program)')
const cPrctl = declare(
  'prctl',
  'int prctl(int option, unsigned long mode, void *program)',
  () => 'PR_SET_SECCOMP, SECCOMP_MODE_FILTER',
)
const SYS_SECCOMP = arch === 'arm64' ? 277 : 317
const SECCOMP_SET_MODE_FILTER = 1
const PR_SET_SECCOMP = 22
const SECCOMP_MODE_FILTER = 2

/** struct sock_fprog { unsigned short len; struct sock_filter *filter; } */
function programOf(program: Buffer): Buffer {
  const struct = Buffer.alloc(16)
  struct.writeUInt16LE(program.length / 8, 0)
  struct.writeBigUInt64LE(addressOf(program), 8)
  return struct
}

/**
 * Returns the descriptor to answer notifications on, or -1 where the filter sends none.
 *
 * Precondition: no_new_privs is set or the caller has CAP_SYS_ADMIN; the caller is its process's only thread.
 */
export function loadSeccomp(filter: SeccompFilter): number {
  const struct = programOf(filter.program)
  const result = cSeccomp(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, filter.flags, struct)
  if (result >= 0) return filter.notify ? result : -1
  // ENOSYS: before 3.17. EINVAL: SPEC_ALLOW on a kernel before 4.17, which has no such switch; no other flag is lost.
  const old = result === -errnoNumbers.ENOSYS || result === -errnoNumbers.EINVAL
  if (!old || (filter.flags & ~flagSpecAllow) !== 0)
    throw new SyscallError('seccomp', -result, 'SECCOMP_SET_MODE_FILTER')
  cPrctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, struct)
  return -1
}
