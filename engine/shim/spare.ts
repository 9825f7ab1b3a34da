/**
 * A shim that was forked before anybody asked: all but the container's files is in place, and nobody waits for the fork.
 * There is one at most. It ends when its spawner lets go of it.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { CgroupHost } from '../cgroup/cgroup.ts'
import { close, placeAt, pollEvents, read, setCloseOnExec, write } from '../kernel/descriptors.ffi.ts'
import type { Mapping } from '../kernel/memory.ffi.ts'
import { clone, exit, setProcessName } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import type { EventLoop } from './event-loop.ts'
import { type Failure, failureOf } from './failure.ts'
import { listenIn, readShimFiles, type Settled, settle, socketName, supervise } from './fork-shim.ts'
import { encodeFrame, FrameReader } from './protocol.ts'
import type { SpawnAnswer, SpawnRequest } from './spawner-protocol.ts'

type Assignment = { directory: string }
/** Listening, or why not. */
type SpareAnswer = { error?: Failure }

type Spare = { pid: number; talk: number }

/** What every shim has of its spawner. */
type Inherited = { cgroups: CgroupHost; filePages: readonly Mapping[] }

export function forkSpare(inherited: Inherited): Spare {
  const [ours, theirs] = socketPair()
  try {
    const { pid } = clone({ flags: 0n })
    if (pid === 0) runSpare(theirs, inherited)
    return { pid, talk: ours }
  } catch (error) {
    close(ours)
    throw error
  } finally {
    close(theirs)
  }
}

/** Milliseconds without a request, after which the next is forked: of several at once each has its own fork, at once. */
const lull = 10

export class SpareKeeper {
  readonly #loop: EventLoop
  readonly #fork: () => Spare
  #spare: Spare | undefined
  #requests = 0

  constructor(loop: EventLoop, fork: () => Spare) {
    this.#loop = loop
    this.#fork = fork
  }

  /** To the spare, or to `fork` where there is none, or it is gone. */
  give(request: SpawnRequest, answer: (words: SpawnAnswer) => void, fork: (request: SpawnRequest) => void): void {
    this.prepare()
    const spare = this.#spare
    if (spare === undefined) {
      fork(request)
      return
    }
    this.#spare = undefined
    const { number, directory } = request
    const assignment: Assignment = { directory }
    // Where it is gone this fails, and the end of the conversation says so.
    write(spare.talk, encodeFrame(assignment))
    this.#watch(spare, (words) => {
      if (words !== undefined)
        answer(words.error === undefined ? { number, pid: spare.pid } : { number, error: words.error })
      else {
        rmSync(join(directory, socketName), { force: true })
        fork(request)
      }
    })
    rememberFilter(directory)
  }

  /** Soon there is one. */
  prepare(): void {
    this.#requests += 1
    const request = this.#requests
    this.#loop.after(lull, () => {
      if (request === this.#requests) this.#replace()
    })
  }

  /** One that shares what the spawner has now, in place of one that kept what it had. */
  renew(): void {
    if (this.#spare !== undefined) this.#replace()
  }

  #replace(): void {
    if (this.#spare !== undefined) this.#letGo(this.#spare)
    this.#spare = this.#tryFork()
    if (this.#spare === undefined) return
    this.#watch(this.#spare, () => {
      this.#spare = undefined
    })
  }

  /** Where the machine has no more to give, the next who asks is told. */
  #tryFork(): Spare | undefined {
    try {
      return this.#fork()
    } catch {
      return undefined
    }
  }

  /** Its one word, or undefined where it ended without. */
  #watch(spare: Spare, heard: (answer: SpareAnswer | undefined) => void): void {
    const frames = new FrameReader()
    const chunk = Buffer.allocUnsafeSlow(4096)
    this.#loop.watch(spare.talk, {
      wants: () => pollEvents.POLLIN,
      ready: () => {
        const count = read(spare.talk, chunk)
        if (count > 0) frames.add(chunk.subarray(0, count))
        const answer = frames.next<SpareAnswer>()
        if (count > 0 && answer === undefined) return
        this.#letGo(spare)
        heard(answer)
      },
    })
  }

  #letGo({ talk }: Spare): void {
    this.#loop.forget(talk)
    close(talk)
  }
}

/** What its filter is compiled to, the next ones have. */
function rememberFilter(directory: string): void {
  try {
    readShimFiles(directory)
  } catch {
    // Whoever has the container says so.
  }
}

/** Whatever happens it ends here: an error that left the child would leave it standing, with all that its parent has. */
function runSpare(talk: number, inherited: Inherited): never {
  try {
    awaitContainer(settle(talk, 'drydock-spare'), inherited)
  } finally {
    exit(70)
  }
}

function awaitContainer(settled: Settled, inherited: Inherited): never {
  const { directory } = receive(settled.first)
  try {
    const files = readShimFiles(directory)
    const listener = listenIn(directory)
    answer(settled, {})
    placeAt(listener, settled.first)
    setCloseOnExec(settled.first)
    close(listener)
    setProcessName('drydock-shim')
    return supervise({ ...files, ...inherited }, settled)
  } catch (error) {
    answer(settled, { error: failureOf(error) })
    exit(0)
  }
}

function answer({ first }: Settled, words: SpareAnswer): void {
  // Without a spawner there is no daemon that knows of the container.
  if (write(first, encodeFrame(words)) < 0) exit(0)
}

function receive(talk: number): Assignment {
  const frames = new FrameReader()
  const chunk = Buffer.allocUnsafeSlow(4096)
  for (;;) {
    const count = read(talk, chunk)
    if (count <= 0) exit(0)
    frames.add(chunk.subarray(0, count))
    const assignment = frames.next<Assignment>()
    if (assignment !== undefined) return assignment
  }
}
