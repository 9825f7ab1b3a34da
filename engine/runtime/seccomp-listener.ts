/** A seccomp filter's listener goes to the agent that will answer: runtime-spec config-linux.md "The Container Process State". */
import { EngineError, messageOf } from '../base/errors.ts'
import { close, write } from '../kernel/descriptors.ffi.ts'
import { borrowDescriptor } from '../kernel/process.ffi.ts'
import { connect, sendDescriptors } from '../kernel/unix-socket.ffi.ts'
import type { OciSpec } from '../spec/oci.ts'
import { type ParentMessage, receive, send } from './sync.ts'

export type ListenerOwner = {
  /** The container's. */
  id: string
  bundle: string
  spec: OciSpec
  /** The container's first process (`creating`), or a further one. */
  status: 'creating' | 'running'
  /** Of the first process; for that one itself, unknown before it is forked. */
  containerPid?: number
}

/** The child's half: waits until the parent has passed the descriptor on, and gives up its own. */
export function offerListener(sync: number, listener: number): void {
  send(sync, { type: 'seccomp-listener', listener })
  if (receive<ParentMessage>(sync)?.type !== 'listener-taken')
    throw new EngineError('internal', 'linux.seccomp.listenerPath: the listener was not passed on')
  close(listener)
}

/** Annotations may make the text longer than goes along at once. */
const mostWithDescriptors = 4096

/** The parent's half. `listener` is the number in the child's descriptor table. Throws invalid where nobody takes it. */
export function passListener(child: { pid: number; pidfd: number }, listener: number, owner: ListenerOwner): void {
  const { listenerPath = '', listenerMetadata } = owner.spec.linux?.seccomp ?? {}
  const state = {
    ociVersion: owner.spec.ociVersion,
    fds: ['seccompFd'],
    pid: child.pid,
    ...(listenerMetadata === undefined ? {} : { metadata: listenerMetadata }),
    state: {
      ociVersion: owner.spec.ociVersion,
      id: owner.id,
      status: owner.status,
      pid: owner.containerPid ?? child.pid,
      bundle: owner.bundle,
      ...(owner.spec.annotations === undefined ? {} : { annotations: owner.spec.annotations }),
    },
  }
  using held = new DisposableStack()
  try {
    const borrowed = held.adopt(borrowDescriptor(child.pidfd, listener), close)
    const socket = held.adopt(connect(listenerPath), close)
    const text = Buffer.from(JSON.stringify(state))
    sendDescriptors(socket, text.subarray(0, mostWithDescriptors), [borrowed])
    for (let at = mostWithDescriptors; at < text.length; ) {
      const written = write(socket, text.subarray(at))
      if (written < 0) throw new Error(`the socket was closed: errno ${-written}`)
      at += written
    }
  } catch (error) {
    throw new EngineError(
      'invalid',
      `linux.seccomp.listenerPath: failed to connect with seccomp agent at ${JSON.stringify(listenerPath)}: ${messageOf(error)}`,
      { cause: error },
    )
  }
}
