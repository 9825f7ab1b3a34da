/**
 * Unpacks layers beside the daemon's own thread, several at a time. Threads are there while there is work, and a moment
 * longer. The blob is opened, and the directory made, by the daemon: a thread that dies takes nothing with it.
 */
import { open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { EngineError, messageOf } from '../base/errors.ts'
import { closeBelow } from '../kernel/descriptors.ffi.ts'
import { Slots } from './shared-work.ts'
import { type Unpacked, type UnpackOptions, unpackLayer } from './unpack.ts'
import { errorOf, type UnpackAnswer, type UnpackJob } from './unpack-message.ts'

export type UnpackersOptions = {
  /** Most threads at a time; as many as processors. */
  threads?: number
  /** Bytes, compressed: a smaller layer is unpacked before a thread has started. */
  threadsFrom?: number
  /** MiB of a thread's heap, of which a layer of a million directories takes a quarter. */
  heap?: number
}

const defaults: Required<UnpackersOptions> = { threads: availableParallelism(), threadsFrom: 1 << 20, heap: 512 }

/** Milliseconds that a thread waits for another layer. */
const patience = 1000

export class Unpackers implements AsyncDisposable {
  readonly #options: Required<UnpackersOptions>
  readonly #slots: Slots
  readonly #threads = new Set<UnpackThread>()
  readonly #idle = new Map<UnpackThread, NodeJS.Timeout>()

  constructor(options: UnpackersOptions = {}) {
    this.#options = { ...defaults, ...options }
    this.#slots = new Slots(this.#options.threads)
  }

  /**
   * unpackLayer for a blob of the store. `synced` says whether what was written is on the disk already. The signal's
   * reason when it is aborted; nothing works on the directory any more when this has settled.
   */
  async unpack(
    blob: { path: string; size: number },
    directory: string,
    options: UnpackOptions,
  ): Promise<Unpacked & { synced: boolean }> {
    using _slot = await this.#slots.take(options.signal)
    await using file = await open(blob.path)
    if (blob.size < this.#options.threadsFrom) {
      const source = file.createReadStream({ autoClose: false })
      return { ...(await unpackLayer(source, directory, options)), synced: false }
    }
    const thread = this.#take()
    try {
      return { ...(await thread.unpack(file.fd, directory, options)), synced: true }
    } finally {
      this.#rest(thread)
    }
  }

  #take(): UnpackThread {
    for (const [thread, timer] of this.#idle) {
      clearTimeout(timer)
      this.#idle.delete(thread)
      if (thread.alive) return thread
    }
    const thread = new UnpackThread(this.#options.heap)
    this.#threads.add(thread)
    return thread
  }

  #rest(thread: UnpackThread): void {
    const leave = (): void => {
      this.#idle.delete(thread)
      this.#threads.delete(thread)
      void thread.end()
    }
    if (thread.alive) this.#idle.set(thread, setTimeout(leave, patience).unref())
    else leave()
  }

  /** Ends every thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#idle.values()) clearTimeout(timer)
    this.#idle.clear()
    await Promise.all([...this.#threads].map((thread) => thread.end()))
    this.#threads.clear()
  }
}

/** Beside this file in the sources, and in the bundle, too. */
const program = new URL(import.meta.url.endsWith('.ts') ? './unpack-thread.ts' : './unpack-thread.js', import.meta.url)

type Work = { answer: (answer: UnpackAnswer) => void; lost: (why: Error) => void }

class UnpackThread {
  readonly #worker: Worker
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #heap: number
  #work: Work | undefined
  #failure: unknown
  alive = true

  constructor(heap: number) {
    this.#heap = heap
    this.#worker = new Worker(program, {
      name: 'unpack',
      workerData: this.#stop.buffer,
      // What this process was started with is not for it.
      execArgv: [],
      // Node would close, and warn about, descriptors that it has not opened itself.
      trackUnmanagedFds: false,
      resourceLimits: { maxOldGenerationSizeMb: heap },
    })
    this.#worker.on('message', (answer: UnpackAnswer) => this.#work?.answer(answer))
    this.#worker.on('error', (error) => {
      this.#failure = error
    })
    this.#worker.on('exit', () => {
      this.alive = false
      this.#work?.lost(this.#lost())
    })
  }

  #lost(): EngineError {
    const code = (this.#failure as { code?: string } | undefined)?.code
    if (code === 'ERR_WORKER_OUT_OF_MEMORY')
      return new EngineError('invalid', `the layer takes more than ${this.#heap} MiB of memory to unpack`)
    const why = this.#failure === undefined ? '' : `: ${messageOf(this.#failure)}`
    return new EngineError('internal', `the thread that unpacked the layer has ended${why}`, { cause: this.#failure })
  }

  async unpack(blob: number, directory: string, options: UnpackOptions): Promise<Unpacked> {
    const { signal, onProgress, maxBytes, maxEntries } = options
    const { promise, resolve, reject } = Promise.withResolvers<Unpacked>()
    const answer = (message: UnpackAnswer): void => {
      if ('read' in message) onProgress?.(message.read)
      else if ('unpacked' in message) resolve(message.unpacked)
      else reject(errorOf(message.failure))
    }
    const lost = (why: Error): void => {
      // The process goes on, and with it what only the thread knew to be open.
      closeBelow(directory)
      reject(why)
    }
    const stop = (): void => void Atomics.store(this.#stop, 0, 1)
    Atomics.store(this.#stop, 0, 0)
    this.#work = { answer, lost }
    this.#worker.ref()
    signal?.addEventListener('abort', stop)
    if (signal?.aborted === true) stop()
    this.#worker.postMessage({ blob, directory, maxBytes, maxEntries } satisfies UnpackJob)
    try {
      return await promise
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#worker.unref()
      this.#work = undefined
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
