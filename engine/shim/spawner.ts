/**
 * The spawner: a Node process that never returns to its event loop, kept warm to be forked. Started by the daemon as
 * `node --single-threaded spawner.js`, with a socket as descriptor 3; ends when the daemon does. As
 * `spawner.js shim DIRECTORY` it is itself the shim of one container: the fallback where forking is not proven.
 */
import { readFileSync } from 'node:fs'
import { detectCgroups } from '../cgroup/detect.ts'
import { close, pollEvents, read, write } from '../kernel/descriptors.ffi.ts'
import { collectAll, returnFreePages } from '../kernel/memory.ffi.ts'
import { clone, exit, prepareFork, reap, setProcessName } from '../kernel/process.ffi.ts'
import { ignoreSignal } from '../kernel/signals.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import { rehearse } from '../runtime/rehearsal.ts'
import { EventLoop } from './event-loop.ts'
import { failureOf } from './failure.ts'
import { listenIn, readShimFiles } from './fork-shim.ts'
import { FrameReader } from './protocol.ts'
import { rehearseTalk } from './rehearsal.ts'
import { runShim } from './shim-life.ts'
import { SpareMaker } from './spare.ts'
import { encodeSpawn, type SpawnAnswer, type SpawnerOrder, type SpawnRequest } from './spawner-protocol.ts'

const daemon = 3
const proofForks = 3
/** Milliseconds without a word from anybody. */
const restful = 4000

/**
 * Forks, allocates in the child until garbage is collected, and looks at the exit code: the recipe leans on V8, and
 * what does not hold on this machine must show before a container depends on it.
 */
function proveFork(): boolean {
  for (let round = 0; round < proofForks; round += 1) {
    const { pid } = clone({ flags: 0n })
    if (pid === 0) {
      let kept: unknown[] = []
      for (let index = 0; index < 200_000; index += 1) {
        kept.push({ index, text: `${index}` })
        if (kept.length > 10_000) kept = []
      }
      exit(kept.length < 10_001 ? 40 + round : 1)
    }
    if (reap({ pid, block: true })?.exitCode !== 40 + round) return false
  }
  return true
}

function serve(): never {
  setProcessName('drydock-spawner')
  const cgroups = detectCgroups()
  rehearse(cgroups, rehearseTalk)
  const loop = new EventLoop()
  const frames = new FrameReader()
  const chunk = Buffer.allocUnsafeSlow(65536)
  const answer = (words: SpawnAnswer): void => void write(daemon, encodeSpawn(words))
  const fork = ({ number, directory }: SpawnRequest): void => {
    try {
      const files = readShimFiles(directory)
      using own = new DisposableStack()
      const listener = own.adopt(listenIn(directory), close)
      const { pid } = clone({ flags: 0n })
      if (pid === 0) runShim(files, listener, inherited)
      answer({ number, pid })
    } catch (error) {
      answer({ number, error: failureOf(error) })
    }
  }
  loop.watch(daemon, {
    wants: () => pollEvents.POLLIN,
    ready: () => {
      const count = read(daemon, chunk)
      if (count <= 0) exit(0)
      frames.add(chunk.subarray(0, count))
      for (let order = frames.next<SpawnerOrder>(); order !== undefined; order = frames.next<SpawnerOrder>())
        take(order)
    },
  })
  const proven = proveFork()
  // Then the kernel buries children by itself; waitid(2). Node has threads that hold no signal back: one of them may take
  // it, and no descriptor would tell of it.
  ignoreSignal(signalNumbers.SIGCHLD)
  collectAll()
  const inherited = { cgroups, filePages: returnFreePages() }
  const spares = new SpareMaker(inherited, (spare) => answer({ spare }))
  let changed = true
  const take = (order: SpawnerOrder): void => {
    if ('handed' in order) spares.handed(order.possible)
    else if ('directory' in order) {
      changed = true
      fork(order)
    } else {
      rememberFilter(order.prepare)
      spares.make()
    }
  }
  answer({ number: 0, proven })
  if (proven) spares.make()
  else spares.handed(false)
  // One that shares what the spawner has then takes the place of one that kept what it had.
  loop.atRest(restful, () => {
    if (!changed) return
    changed = false
    returnFreePages()
    spares.make()
  })
  loop.run()
  exit(0)
}

/** What the filter of a container is compiled to, the next ones have. */
function rememberFilter(directory: string): void {
  try {
    readShimFiles(directory)
  } catch {
    // It may have gone by now.
  }
}

function main(): never {
  // A pool outlives what is in it and becomes old, and old memory is given back only by a collection that touches all there is.
  Buffer.poolSize = 0
  prepareFork(readFileSync('/proc/self/maps', 'utf8'))
  const [, , mode, directory] = process.argv
  if (mode !== 'shim' || directory === undefined) return serve()
  const files = readShimFiles(directory)
  const listener = listenIn(directory)
  return runShim(files, listener, { cgroups: detectCgroups(), filePages: [] })
}

main()
