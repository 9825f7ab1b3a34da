/** A container's root directory as an open descriptor, running or not. */
import { closeSync } from 'node:fs'
import { openDirectory } from '../kernel/paths.ffi.ts'
import type { OverlayMount } from '../snapshots/snapshotter.ts'
import { openView } from '../snapshots/view.ts'
import type { Container } from './container.ts'
import type { Engine } from './engine.ts'
import { hasProcess } from './state-table.ts'

export type Rootfs = Disposable & { readonly fd: number }

/**
 * Of a running container it is the root that its processes see, volumes included; of a stopped one the snapshot alone,
 * open for writing. Every path below it must be resolved with RESOLVE_IN_ROOT: the links in it are the container's.
 */
export function openRootfs(engine: Engine, container: Container): Rootfs {
  const { run, id } = container
  return hasProcess(run.state) && run.pid > 0 ? openRunning(run.pid) : openView(engine.snapshotter.mounts(id))
}

function openRunning(pid: number): Rootfs {
  const fd = openDirectory(`/proc/${pid}/root`)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

/**
 * What is seen where no process's mounts come in: /proc is empty, volumes are. Read-only, and fit for a running container,
 * too: what was written is the topmost layer below, as a second mount of the upper directory would disturb the first
 * (and unmounting a writable one makes the kernel write out the whole disk).
 */
export function openFrozen(
  engine: Engine,
  container: Container,
  part: (mount: OverlayMount) => boolean = () => true,
): Rootfs {
  const mounts = engine.snapshotter.mounts(container.id).filter(part)
  return openView(
    mounts.map(({ target, lower, upper }) => ({ target, lower: upper === undefined ? lower : [upper, ...lower] })),
  )
}

/** For /etc/passwd and its like: of a running container the live one, else without the parts that have no /etc. */
export function openForAccounts(engine: Engine, container: Container): Rootfs {
  const { run } = container
  if (hasProcess(run.state) && run.pid > 0) return openRunning(run.pid)
  return openFrozen(engine, container, ({ target }) => target === '/' || target === '/etc')
}
