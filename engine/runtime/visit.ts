/** In the namespaces of a process that was just made, and back: its maker works there, where nobody else is yet. */
import { closeSync } from 'node:fs'
import { changeDirectory, changeRoot } from '../kernel/mount.ffi.ts'
import { openNamespace, setNamespace } from '../kernel/namespaces.ffi.ts'
import { openPath } from '../kernel/paths.ffi.ts'
import { exit } from '../kernel/process.ffi.ts'
import type { OciNamespaceType } from '../spec/oci.ts'

/**
 * Until disposed of, the caller is in these namespaces of the process, at its root; setns(2), pidfd_open(2). Throws, and is
 * where it was.
 *
 * Precondition: as for `setNamespace`; and the caller is the only user of its root and working directory.
 */
export function visit({ pid, pidfd }: { pid: number; pidfd: number }, kinds: readonly OciNamespaceType[]): Disposable {
  using cleanup = new DisposableStack()
  // Joining a mount namespace leads to the root of that, which is not everybody's.
  const ownRoot = cleanup.adopt(openPath('/'), closeSync)
  const theirRoot = cleanup.adopt(openPath(`/proc/${pid}/root`), closeSync)
  const homes = kinds.map((kind) => ({ kind, fd: cleanup.adopt(openNamespace('self', kind), closeSync) }))
  const goHome = (): void => {
    for (const { kind, fd } of homes) setNamespace(fd, [kind])
    enterTree(ownRoot)
  }
  // It takes a right over each, which one may lack that is root in a user namespace only: to be known before one leaves.
  goHome()
  setNamespace(pidfd, kinds)
  cleanup.defer(() => {
    try {
      goHome()
    } catch {
      // Half of it in a container, there is nothing that this process could still be trusted with.
      exit(70)
    }
  })
  enterTree(theirRoot)
  return cleanup.move()
}

function enterTree(root: number): void {
  changeDirectory(root)
  changeRoot('.')
  // Node keeps what it believes to be the working directory.
  process.chdir('/')
}
