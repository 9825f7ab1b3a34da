/** seccomp(2): loads a filter into the calling thread, for good. */
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { addressOf } from './libc.ffi.ts'
import type { SeccompFilter } from './seccomp-program.ts'

const SECCOMP_SET_MODE_FILTER = 1

/**
 * Its result is the descriptor to answer notifications on, where the filter sends any.
 *
 * Precondition: no_new_privs is set or the caller has CAP_SYS_ADMIN; the caller is its process's only thread.
 */
export function seccompCall({ program, flags }: SeccompFilter): SystemCall {
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const struct = Buffer.allocUnsafeSlow(16).fill(0)
  struct.writeUInt16LE(program.length / 8, 0)
  struct.writeBigUInt64LE(addressOf(program), 8)
  return systemCall('seccomp', [SECCOMP_SET_MODE_FILTER, flags, struct], {
    holds: [program],
    detail: 'SECCOMP_SET_MODE_FILTER',
  })
}
