/** Mounts that are made where this process is not: by a helper that hands over a detached tree and ends. */
import { close } from '../kernel/descriptors.ffi.ts'
import { borrowDescriptor, clone, cloneFlags, exit, reap } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import { type ChildMessage, expectMessage, failure, receive, send } from './sync.ts'

export type HelperTree = {
  /** Of clone(2): the namespaces that are the helper's own. */
  flags?: bigint
  /** Said in front of what goes wrong. */
  task: string
  /** Runs in the helper; answers the descriptor of a detached mount. */
  make: () => number
}

/** The mount that the helper made: a descriptor, close-on-exec. Synchronous; the helper is reaped. */
export function treeFromHelper({ flags = 0n, task, make }: HelperTree): number {
  const [ours, theirs] = socketPair()
  const helper = clone({ flags: flags | cloneFlags.CLONE_PIDFD })
  if (helper.pid === 0) {
    close(ours)
    return handOver(theirs, task, make)
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

function handOver(sync: number, task: string, make: () => number): never {
  try {
    send(sync, { type: 'tree', tree: make() })
    receive(sync)
  } catch (error) {
    send(sync, failure(task, error))
  }
  exit(0)
}
