/**
 * One container after the other in a process that is forked once: what it costs to make a shim is paid again only where
 * several containers live at the same time.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CgroupHost } from '../cgroup/cgroup.ts'
import { closeFrom, placeAt, read, setCloseOnExec, setNonBlocking, write } from '../kernel/descriptors.ffi.ts'
import type { Mapping } from '../kernel/memory.ffi.ts'
import { exit, setProcessName } from '../kernel/process.ffi.ts'
import { failureOf } from './failure.ts'
import { listenIn, readShimFiles, type Settled, type ShimFiles, settle } from './fork-shim.ts'
import { encodeFrame, FrameReader, type RequestFrame, type ShimFrame } from './protocol.ts'
import { Supervisor, type SupervisorOptions } from './supervisor.ts'

/** What every shim has of its spawner. */
export type Inherited = {
  cgroups: CgroupHost
  /** Where the spawner, and so its child, has nothing but what the files have. */
  filePages: readonly Mapping[]
}

type Assigned = ShimFiles & { listener: number; control?: number }

/** Then a new one takes its place, and whatever has grown in this one goes. */
const mostContainers = 100

export const spareName = 'drydock-spare'
export const shimName = 'drydock-shim'

/** Runs in the child, to its end: an error that left it would leave a second spawner. */
export function runShim(files: ShimFiles, listener: number, inherited: Inherited): never {
  try {
    const settled = settle(listener, shimName)
    return live(inherited, settled, { ...files, listener: settled.first })
  } finally {
    exit(70)
  }
}

/** @param assigned the first container; absent: it is awaited on the control connection, which is `settled.first` then */
export function live(inherited: Inherited, settled: Settled, assigned = awaitContainer(settled.first)): never {
  const { first, nullDevice, signals } = settled
  let current: Assigned = assigned
  for (let left = mostContainers - 1; ; left -= 1) {
    const control = supervise({ ...current, ...inherited, nullDevice, signals, reusable: left > 0 })
    if (control === undefined) exit(0)
    keepOnly(control, settled)
    setProcessName(spareName)
    current = awaitContainer(first)
  }
}

/** A failure of the shim itself is left in the container's directory. */
function supervise(options: SupervisorOptions): number | undefined {
  try {
    return new Supervisor(options).run()
  } catch (error) {
    try {
      writeFileSync(join(options.directory, 'shim-failure.txt'), `${error instanceof Error ? error.stack : error}\n`)
    } finally {
      exit(70)
    }
  }
}

/** Where a container's descriptors were there is nothing. */
function keepOnly(control: number, { first, signals }: Settled): void {
  if (control !== first) placeAt(control, first)
  setCloseOnExec(first)
  setNonBlocking(first, false)
  closeFrom(signals + 1)
}

/** Of the daemon at the other end of `control`; ends with it. */
function awaitContainer(control: number): Assigned {
  const order = receive(control)
  const { number } = order
  try {
    if (order.op !== 'adopt') throw new Error(`there is no container yet to ${order.op}`)
    const files = readShimFiles(order.directory)
    const listener = listenIn(order.directory)
    tell(control, { number, ok: {} })
    setNonBlocking(control, true)
    setProcessName(shimName)
    return { ...files, listener, control }
  } catch (error) {
    tell(control, { number, error: failureOf(error) })
    exit(0)
  }
}

export function tell(control: number, words: ShimFrame): void {
  // Without a daemon nobody knows of the container.
  if (write(control, encodeFrame(words)) < 0) exit(0)
}

/** Precondition: nothing comes behind it before it is answered. */
function receive(control: number): RequestFrame {
  const frames = new FrameReader()
  const chunk = Buffer.allocUnsafeSlow(4096)
  for (;;) {
    const count = read(control, chunk)
    if (count <= 0) exit(0)
    frames.add(chunk.subarray(0, count))
    const order = frames.next<RequestFrame>()
    if (order !== undefined) return order
  }
}
