/** The kernel's keyrings: keyctl(2), session-keyring(7). */
import { arch } from 'node:process'
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { errnoNumbers } from './errno.table.ts'
import { declare, declareRaw, SyscallError } from './libc.ffi.ts'

const cKeyctl = declareRaw('long syscall(long number, int operation, const char *name)')
const SYS_KEYCTL = arch === 'arm64' ? 219 : 250
const cSetPermission = declare(
  'keyctl',
  'long syscall(long number, int operation, int key, unsigned int permissions)',
  (_number, _operation, key) => `KEYCTL_SETPERM ${key}`,
)
const KEYCTL_JOIN_SESSION_KEYRING = 1
const KEYCTL_SETPERM = 5

/** What the kernel gives a keyring that is made by its name: all to who holds it, and to its user to view, read and link it. */
const usualPermissions = 0x3f130000
/** KEY_USR_SEARCH and KEY_OTH_SEARCH: who may find it by its name, and thus join it. */
const searchBits = { user: 0x080000, others: 0x08 } as const

/**
 * `joinSessionKeyring` for one that is new, and that later processes are to find.
 *
 * @param foundBy `others`: who comes into a user namespace from outside is not the keyring's user
 */
export function makeSessionKeyring(name: string, foundBy: keyof typeof searchBits): void {
  const key = joinSessionKeyring(name)
  if (key !== undefined) cSetPermission(SYS_KEYCTL, KEYCTL_SETPERM, key, usualPermissions | searchBits[foundBy])
}

const KEY_SPEC_SESSION_KEYRING = -3

/** `makeSessionKeyring` for a row of calls, on a kernel that has keyrings. */
export const newSessionKeyringCalls = (name: string, foundBy: keyof typeof searchBits): SystemCall[] => [
  sessionKeyringCall(name),
  systemCall('keyctl', [KEYCTL_SETPERM, KEY_SPEC_SESSION_KEYRING, usualPermissions | searchBits[foundBy]], {
    detail: 'KEYCTL_SETPERM',
    tolerates: ['EPERM', 'EACCES'],
  }),
]

/**
 * The session keyring of this name, which is made where there is none: what the keyring before held is out of the caller's
 * reach, and its children's. Names are those of the caller's user namespace; session-keyring(7). Answers its serial number;
 * undefined on a kernel without keyrings, or where a filter keeps them away: there is nothing to leave then.
 */
export function joinSessionKeyring(name: string): number | undefined {
  const result = cKeyctl(SYS_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name)
  if (result >= 0) return result
  if (result === -errnoNumbers.ENOSYS || result === -errnoNumbers.EPERM) return undefined
  throw new SyscallError('keyctl', -result, `KEYCTL_JOIN_SESSION_KEYRING ${name}`)
}

/** `joinSessionKeyring` for a row of calls, on a kernel that has keyrings. */
export const sessionKeyringCall = (name: string): SystemCall =>
  systemCall('keyctl', [KEYCTL_JOIN_SESSION_KEYRING, Buffer.from(`${name}\0`)], {
    detail: `KEYCTL_JOIN_SESSION_KEYRING ${name}`,
    tolerates: ['EPERM'],
  })
