/** A container's root directory as an open descriptor, running or not. */
import { closeSync } from 'node:fs'
import { openDirectory } from '../kernel/paths.ffi.ts'
import { openView } from '../snapshots/view.ts'
import type { Container } from './container.ts'
import type { Engine } from './engine.ts'
import { hasProcess } from './state-table.ts'

export type Rootfs = Disposable & { readonly fd: number }

/**
 * Of a running container it is the root that its processes see, volumes included; of a stopped one the snapshot alone.
 * Every path below it must be resolved with RESOLVE_IN_ROOT: the links in it are the container's.
 */
export function openRootfs(engine: Engine, container: Container): Rootfs {
  const { run, id } = container
  if (hasProcess(run.state) && run.pid > 0) {
    const fd = openDirectory(`/proc/${run.pid}/root`)
    return { fd, [Symbol.dispose]: () => closeSync(fd) }
  }
  return openView(engine.snapshotter.mounts(id))
}
