/**
 * A source below the root of another container's process, `/proc/PID/root/…`: the kernel binds only what is mounted in the
 * caller's own namespace, so a helper goes there for it. Links on the way are that container's, and are refused.
 */
import { close } from '../kernel/descriptors.ffi.ts'
import { cloneTree } from '../kernel/mount.ffi.ts'
import { openNamespace, setNamespace } from '../kernel/namespaces.ffi.ts'
import { openAt, openDirectory, openFlags, resolveFlags } from '../kernel/paths.ffi.ts'
import { borrowDescriptor, clone, cloneFlags, exit, reap } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import { type ChildMessage, expectMessage, failure, receive, send } from './sync.ts'

export type ForeignSource = { pid: number; path: string }

export function foreignSource(source: string): ForeignSource | undefined {
  const [, pid, path] = /^\/proc\/(\d+)\/root\/(.+)$/.exec(source) ?? []
  return pid === undefined || path === undefined ? undefined : { pid: Number(pid), path }
}

/** A detached copy of the mount: a descriptor, close-on-exec. */
export function openForeignSource(source: ForeignSource, recursive: boolean): number {
  const [ours, theirs] = socketPair()
  const helper = clone({ flags: cloneFlags.CLONE_PIDFD })
  if (helper.pid === 0) {
    close(ours)
    return fetchInHelper(source, recursive, theirs)
  }
  close(theirs)
  try {
    const { tree } = expectMessage(receive<ChildMessage>(ours), 'tree')
    return borrowDescriptor(helper.pidfd, tree)
  } finally {
    // The helper waits for this end to close.
    close(ours)
    close(helper.pidfd)
    reap({ pid: helper.pid, block: true })
  }
}

const resolve = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_SYMLINKS

function fetchInHelper({ pid, path }: ForeignSource, recursive: boolean, sync: number): never {
  try {
    setNamespace(openNamespace(pid, 'mount'), ['mount'])
    const found = openAt(openDirectory('/'), path, { flags: openFlags.O_PATH, resolve })
    send(sync, { type: 'tree', tree: cloneTree('', { directory: found, recursive }) })
    receive(sync)
  } catch (error) {
    send(sync, failure(`fetch /${path} of process ${pid}`, error))
  }
  exit(0)
}
