/**
 * The program that containers' processes are forked from must not be writable through them: a container that makes us
 * execute `/proc/self/exe` gets hold of it (CVE-2019-5736). It is run from a read-only mount of its own, which no
 * namespace shows and which goes with its descriptor.
 */
import { closeSync } from 'node:fs'
import { cloneTree, mountAttributes, setMountAttributes } from '../kernel/mount.ffi.ts'

/** A path to execute `program` by, read-only for whoever finds it in /proc; valid until disposed of. */
export function sealProgram(program: string): { path: string } & Disposable {
  const fd = cloneTree(program)
  try {
    setMountAttributes(fd, { set: mountAttributes.MOUNT_ATTR_RDONLY })
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) }
}
