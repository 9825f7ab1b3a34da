/** Handing a group of cgroup v2 to the user of a container; cgroups(7) "Cgroups delegation". */
import { chownSync, lstatSync, readFileSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'

/** What kernels before 4.15, which do not say, let be given away. */
const ofOld = ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads']

function givenAway(): string[] {
  try {
    return readFileSync('/sys/kernel/cgroup/delegate', 'utf8').trim().split('\n')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ofOld
    throw error
  }
}

/**
 * The directory and the files by which it is divided further, not the limits; runtime-spec config-linux.md "Cgroup
 * ownership". Files that the group does not have are passed over.
 *
 * @param uid on the machine
 */
export function delegateGroup(directory: string, uid: number): void {
  const { gid } = lstatSync(directory)
  chownSync(directory, uid, gid)
  for (const name of givenAway()) {
    try {
      chownSync(`${directory}/${name}`, uid, gid)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }
}
