/** Files reached with the rights of somebody else: setfsuid(2), setfsgid(2), setgroups(2), faccessat2(2), credentials(7). */
import { closeSync } from 'node:fs'
import { makeCalls } from './call-sequence.ffi.ts'
import { supplementaryGroups, supplementaryGroupsCall } from './identity.ffi.ts'
import { declarePlain, declareRaw, SyscallError } from './libc.ffi.ts'
import { openPath } from './paths.ffi.ts'

/** Who somebody is to the file systems: numbers of the caller's user namespace. */
export type Credentials = { readonly uid: number; readonly gid: number; readonly groups: readonly number[] }

const SYS_FACCESSAT2 = 439
const AT_EACCESS = 0x200
const AT_EMPTY_PATH = 0x1000
const R_OK = 4

const cSetfsuid = declarePlain('int setfsuid(unsigned int uid)')
const cSetfsgid = declarePlain('int setfsgid(unsigned int gid)')
const cFaccessat2 = declareRaw('long syscall(long number, int dirfd, const char *path, int mode, int flags)')

const nobodyAsked = 0xffffffff

/** The kernel's own call: libc's setgroups(3) would change every thread of the process, NOTES of setgroups(2). */
const setThreadGroups = (groups: readonly number[]): void => {
  makeCalls([supplementaryGroupsCall(groups)])
}

/** Neither call says that it failed: asking for an impossible id changes nothing, and tells who one is. */
function setFileIds(uid: number, gid: number): void {
  cSetfsgid(gid)
  cSetfsuid(uid)
  const [isUid, isGid] = [Number(cSetfsuid(nobodyAsked)), Number(cSetfsgid(nobodyAsked))]
  if (isUid >>> 0 !== uid || isGid >>> 0 !== gid) throw new Error(`setfsuid: this process may not become ${uid}:${gid}`)
}

/**
 * Does `work` with another's rights to files: the kernel takes away with the user what root may do with files, and gives
 * it back with the return; capabilities(7). It is this thread's alone, so `work` must not wait for anything.
 *
 * Precondition: the process is root with all of its capabilities.
 */
export function withRightsOf<T>({ uid, gid, groups }: Credentials, work: () => T): T {
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, groups: supplementaryGroups() }
  try {
    setThreadGroups(groups)
    setFileIds(uid, gid)
    return work()
  } finally {
    try {
      setFileIds(own.uid, own.gid)
      setThreadGroups(own.groups)
    } catch {
      // A daemon that is somebody else from here on would refuse or allow the wrong things.
      process.abort()
    }
  }
}

/**
 * What the path names, for somebody who may reach and read it: an O_PATH descriptor, close-on-exec. Throws EACCES where
 * they may not. What was asked about is what the descriptor shows, whatever becomes of the path.
 */
export const openReadable = (credentials: Credentials, path: string): number =>
  withRightsOf(credentials, () => {
    using cleanup = new DisposableStack()
    const fd = cleanup.adopt(openPath(path), closeSync)
    const result = cFaccessat2(SYS_FACCESSAT2, fd, '', R_OK, AT_EACCESS | AT_EMPTY_PATH)
    if (result < 0) throw new SyscallError('faccessat2', -result, JSON.stringify(path))
    cleanup.move()
    return fd
  })
