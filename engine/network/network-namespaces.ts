/** Network namespaces kept by bind mounts: <execRoot>/netns/<container id>. */
import { closeSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../kernel/libc.ffi.ts'
import { mount, mountFlags, unmount } from '../kernel/mount.ffi.ts'
import { inNetworkNamespace, openNamespace, setNamespace, unshare } from '../kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import { setLinkUp } from '../kernel/route-messages.ts'

const { MS_BIND, MS_REC, MS_SHARED } = mountFlags

export class NetworkNamespaces implements Disposable {
  readonly #directory: string
  /**
   * One made ahead of time, as a descriptor: making one takes up to 5 ms, mounting it 0.1 ms. It costs the kernel some
   * 100 KiB and goes with the process.
   */
  #spare: number | undefined
  #refill: NodeJS.Immediate | undefined

  constructor(execRoot: string) {
    this.#directory = join(execRoot, 'netns')
  }

  path(containerId: string): string {
    return join(this.#directory, containerId)
  }

  create(containerId: string): string {
    using cleanup = new DisposableStack()
    const namespace = cleanup.adopt(this.#takeSpare() ?? newNamespace(), closeSync)
    const path = this.#keep(containerId, namespace)
    this.#refill ??= setImmediate(() => this.#fillUp()).unref()
    return path
  }

  /** That of a process, which made it. */
  adopt(containerId: string, pid: number): string {
    using cleanup = new DisposableStack()
    const path = this.#keep(containerId, cleanup.adopt(openNamespace(pid, 'network'), closeSync))
    inNetworkNamespace(path, () => {
      using socket = new NetlinkSocket('NETLINK_ROUTE')
      socket.change(setLinkUp('lo', true))
    })
    return path
  }

  #keep(containerId: string, namespace: number): string {
    this.#prepareDirectory()
    const path = this.path(containerId)
    this.remove(containerId)
    using unfinished = new DisposableStack()
    writeFileSync(path, '', { mode: 0o444 })
    unfinished.defer(() => rmSync(path, { force: true }))
    mount({ source: `/proc/self/fd/${namespace}`, target: path, flags: MS_BIND })
    unfinished.move()
    return path
  }

  /** Makes the next one ahead of time. */
  prepare(): void {
    this.#spare ??= newNamespace()
  }

  #fillUp(): void {
    this.#refill = undefined
    try {
      this.prepare()
    } catch {
      // No descriptors left, or no memory: whoever needs the next one makes it, and is told why that fails.
    }
  }

  /** Missing is fine. The namespace itself ends with its last process. */
  remove(containerId: string): void {
    const path = this.path(containerId)
    try {
      unmount(path, { lazy: true })
    } catch (error) {
      // EINVAL: the file was made, the mount was not.
      if (!isErrno(error, 'EINVAL', 'ENOENT')) throw error
    }
    rmSync(path, { force: true })
  }

  /** The containers that have one. */
  list(): string[] {
    return existsSync(this.#directory) ? readdirSync(this.#directory) : []
  }

  /** Every namespace, and the directory. */
  destroy(): void {
    this[Symbol.dispose]()
    for (const containerId of this.list()) this.remove(containerId)
    for (;;) {
      try {
        unmount(this.#directory, { lazy: true })
      } catch (error) {
        if (isErrno(error, 'EINVAL', 'ENOENT')) break
        throw error
      }
    }
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #takeSpare(): number | undefined {
    const spare = this.#spare
    this.#spare = undefined
    return spare
  }

  /**
   * A mount of its own, shared: an unmount reaches the copies that mount namespaces made in the meantime hold, which
   * would otherwise keep a dead container's network alive; as ip-netns(8) does it.
   */
  #prepareDirectory(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 })
    try {
      mount({ target: this.#directory, flags: MS_SHARED | MS_REC })
    } catch (error) {
      if (!isErrno(error, 'EINVAL')) throw error
      mount({ source: this.#directory, target: this.#directory, flags: MS_BIND | MS_REC })
      mount({ target: this.#directory, flags: MS_SHARED | MS_REC })
    }
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#refill)
    this.#refill = undefined
    const spare = this.#takeSpare()
    if (spare !== undefined) closeSync(spare)
  }
}

/** A new network namespace with `lo` up: a descriptor. The main thread is in it for the length of this call. */
function newNamespace(): number {
  using cleanup = new DisposableStack()
  const home = cleanup.adopt(openNamespace('thread-self', 'network'), closeSync)
  unshare(['network'])
  cleanup.defer(() => setNamespace(home, ['network']))
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(setLinkUp('lo', true))
  return openNamespace('thread-self', 'network')
}
