/** The kernel's keyrings: keyctl(2), session-keyring(7). */
import { arch } from 'node:process'
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { errnoNumbers } from './errno.table.ts'
import { declareRaw, SyscallError } from './libc.ffi.ts'

const cKeyctl = declareRaw('long syscall(long number, int operation, const char *name)')
const SYS_KEYCTL = arch === 'arm64' ? 219 : 250
const KEYCTL_JOIN_SESSION_KEYRING = 1

/**
 * The session keyring of this name, which is made where there is none: what the keyring before held is out of the caller's
 * reach, and its children's. Names are those of the caller's user namespace; session-keyring(7). False on a
 * kernel without keyrings, or where a filter keeps them away: there is nothing to leave then.
 */
export function joinSessionKeyring(name: string): boolean {
  const result = cKeyctl(SYS_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name)
  if (result >= 0) return true
  if (result === -errnoNumbers.ENOSYS || result === -errnoNumbers.EPERM) return false
  throw new SyscallError('keyctl', -result, `KEYCTL_JOIN_SESSION_KEYRING ${name}`)
}

/** `joinSessionKeyring` for a row of calls, on a kernel that has keyrings. */
export const sessionKeyringCall = (name: string): SystemCall =>
  systemCall('keyctl', [KEYCTL_JOIN_SESSION_KEYRING, Buffer.from(`${name}\0`)], {
    detail: `KEYCTL_JOIN_SESSION_KEYRING ${name}`,
    tolerates: ['EPERM'],
  })
