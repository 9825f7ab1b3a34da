/**
 * A source below the root of another container's process, `/proc/PID/root/…`: the kernel binds only what is mounted in the
 * caller's own namespace, so a helper goes there for it. Links on the way are that container's, and are refused.
 */
import { cloneTree } from '../kernel/mount.ffi.ts'
import { openNamespace, setNamespace } from '../kernel/namespaces.ffi.ts'
import { openAt, openDirectory, openFlags, resolveFlags } from '../kernel/paths.ffi.ts'
import { treeFromHelper } from './helper-tree.ts'

export type ForeignSource = { pid: number; path: string }

export function foreignSource(source: string): ForeignSource | undefined {
  const [, pid, path] = /^\/proc\/(\d+)\/root\/(.+)$/.exec(source) ?? []
  return pid === undefined || path === undefined ? undefined : { pid: Number(pid), path }
}

const resolve = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_SYMLINKS

/** A detached copy of the mount: a descriptor, close-on-exec. */
export const openForeignSource = ({ pid, path }: ForeignSource, recursive: boolean): number =>
  treeFromHelper({
    task: `fetch /${path} of process ${pid}`,
    make: () => {
      setNamespace(openNamespace(pid, 'mount'), ['mount'])
      const found = openAt(openDirectory('/'), path, { flags: openFlags.O_PATH, resolve })
      return cloneTree('', { directory: found, recursive })
    },
  })
