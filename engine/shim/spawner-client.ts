/** The daemon's side of the spawner: starts it, has it fork shims, starts it again when it is lost. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { EngineError, messageOf } from '../base/errors.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { borrowDescriptor, pidfdOpen } from '../kernel/process.ffi.ts'
import { ControlChannel, nobody } from './control-channel.ts'
import { errorOf, notStarted } from './failure.ts'
import { socketName } from './fork-shim.ts'
import { FrameReader } from './protocol.ts'
import { sealProgram } from './sealed-node.ts'
import type { ProcessExit, Shim, Supervisors } from './shim.ts'
import { ShimClient, type ShimOwner } from './shim-client.ts'
import { encodeSpawn, type SpawnAnswer } from './spawner-protocol.ts'

/**
 * Small spaces for young objects, since every page that a collection touches is copied in each shim, and nothing is taken for
 * old before it is; byte code is kept and made up front, so that a fork finds everything compiled.
 */
const nodeFlags = [
  '--single-threaded',
  '--no-lazy',
  '--no-flush-bytecode',
  '--no-allocation-site-pretenuring',
  '--max-semi-space-size=1',
  '--max-old-space-size=256',
]
// io_uring's mappings cannot be inherited by a fork.
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', UV_USE_IO_URING: '0' }

type Waiting = { resolve: (pid: number) => void; reject: (error: Error) => void }
type Spawner = {
  process: ChildProcess
  /** Of the process, which is not reaped before its end is told: the number is its own for as long. */
  pidfd: number
  socket: Duplex
  proven: boolean
  waiting: Map<number, Waiting>
}

/** A shim without a container. Warm: it had one a moment ago, and is not given up for a fresh one. */
type Spare = { channel: ControlChannel; warm: boolean }

/** Milliseconds after a start, within which the shim of a container that is short comes back. Else another is forked. */
const lull = 25
/** Milliseconds after which no more containers seem to follow: the next may stay, in a shim that is small. */
const restful = 4000

export type SupervisorsOptions = {
  /** The spawner's program: engine/shim/spawner.ts, or its bundle. */
  program: string
  /** The Node executable to run it with. */
  node: string
}

/** Starts the spawner and waits for its proof that forking works here. */
export async function startSupervisors(options: SupervisorsOptions): Promise<Supervisors> {
  const supervisors = new ForkedSupervisors(options)
  await supervisors.ready()
  return supervisors
}

class ForkedSupervisors implements Supervisors, ShimOwner {
  readonly #options: SupervisorsOptions
  #spawner: Promise<Spawner> | undefined
  #mode: 'fork' | 'process' = 'fork'
  #number = 0
  #closed = false
  #spare: Spare | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: SupervisorsOptions) {
    this.#options = options
  }

  get mode(): 'fork' | 'process' {
    return this.#mode
  }

  async ready(): Promise<void> {
    const { proven } = await this.#running()
    this.#mode = proven ? 'fork' : 'process'
  }

  async launch(directory: string): Promise<Shim> {
    const spare = this.#spare?.channel
    this.#spare = undefined
    const adopted = spare && (await ShimClient.adopt(directory, spare, this))
    if (adopted !== undefined) return adopted
    // One that ended in the middle may have left it.
    if (spare !== undefined) rmSync(join(directory, socketName), { force: true })
    if (this.#mode === 'fork') await this.#fork(directory)
    else await this.#startProcess(directory)
    return ShimClient.connect(directory, this)
  }

  /** Its shim is the next container's: it has all that it needs in memory, and a fresh one gives way to it. */
  free(channel: ControlChannel, directory: string): boolean {
    if (this.#closed || this.#living()?.warm === true) return false
    const spare: Spare = { channel, warm: true }
    this.#setSpare(spare)
    this.#after(restful, () => {
      spare.warm = false
      void this.#prepare(directory)
    })
    return true
  }

  #setSpare(spare: Spare): void {
    this.#spare?.channel.close()
    this.#spare = spare
    spare.channel.listen(nobody)
  }

  #living(): Spare | undefined {
    return this.#spare?.channel.closed === false ? this.#spare : undefined
  }

  /** Several that start one after the other have a fork each; who comes after them finds a spare. */
  started(directory: string): void {
    this.#after(lull, () => this.#living() === undefined && void this.#prepare(directory))
  }

  /** In place of what was to be done before. */
  #after(delay: number, run: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(run, delay)
    this.#timer.unref()
  }

  async #prepare(directory: string): Promise<void> {
    if (this.#closed || this.#mode !== 'fork') return
    const spawner = await this.#spawner?.catch(() => undefined)
    spawner?.socket.write(encodeSpawn({ prepare: directory }))
  }

  /** A copy of its socket, by pidfd_getfd(2), which not everybody may call: then there are only forks. */
  #takeSpare(spawner: Spawner, number: number): void {
    const wanted = !this.#closed && this.#living()?.warm !== true
    const fd = wanted ? tryBorrow(spawner.pidfd, number) : undefined
    spawner.socket.write(encodeSpawn({ handed: number, possible: !wanted || fd !== undefined }))
    if (fd === undefined) return
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true })
    this.#setSpare({ channel: new ControlChannel(socket), warm: false })
  }

  async find(directory: string): Promise<Shim | undefined> {
    try {
      return await ShimClient.connect(directory)
    } catch {
      return undefined
    }
  }

  lastExit(directory: string): ProcessExit | undefined {
    try {
      return JSON.parse(readFileSync(join(directory, 'exit.json'), 'utf8')) as ProcessExit
    } catch {
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#spare?.channel.close()
    const spawner = await this.#spawner?.catch(() => undefined)
    if (spawner === undefined) return
    await new Promise<void>((resolve) => {
      if (spawner.process.exitCode !== null || spawner.process.signalCode !== null) return resolve()
      spawner.process.once('exit', () => resolve())
      spawner.socket.destroy()
    })
  }

  async #fork(directory: string): Promise<number> {
    const spawner = await this.#running()
    this.#number += 1
    const number = this.#number
    return new Promise((resolve, reject) => {
      spawner.waiting.set(number, { resolve, reject })
      spawner.socket.write(encodeSpawn({ number, directory }))
    })
  }

  /** The fallback: a Node of its own for each container. */
  async #startProcess(directory: string): Promise<void> {
    using sealed = sealProgram(this.#options.node)
    const child = spawn(sealed.path, [...nodeFlags, this.#options.program, 'shim', directory], {
      stdio: 'ignore',
      detached: true,
      env: environment,
    })
    child.unref()
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const shim = await this.find(directory)
      if (shim !== undefined) return
      if (child.exitCode !== null) break
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new EngineError('internal', `the supervisor process for ${directory} did not start`)
  }

  #running(): Promise<Spawner> {
    if (this.#closed) return Promise.reject(new EngineError('unavailable', 'the engine is stopping'))
    this.#spawner ??= this.#start().catch((error: unknown) => {
      this.#spawner = undefined
      throw new EngineError('internal', `the spawner of containers did not start: ${messageOf(error)}`, {
        cause: error,
      })
    })
    return this.#spawner
  }

  #start(): Promise<Spawner> {
    const { node, program } = this.#options
    using sealed = sealProgram(node)
    const child = spawn(sealed.path, [...nodeFlags, program], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      env: environment,
      cwd: dirname(program),
    })
    const socket = child.stdio[3] as Duplex
    // Where it could not be started there is no number, and the child says so.
    const pidfd = child.pid === undefined ? -1 : pidfdOpen(child.pid)
    const spawner: Spawner = { process: child, pidfd, socket, proven: false, waiting: new Map() }
    const frames = new FrameReader()
    return new Promise((resolve, reject) => {
      const lost = (why: Error): void => {
        if (this.#spawner !== undefined) this.#spawner = undefined
        for (const { reject: refuse } of spawner.waiting.values()) refuse(why)
        spawner.waiting.clear()
        if (spawner.pidfd >= 0) close(spawner.pidfd)
        spawner.pidfd = -1
        reject(why)
      }
      child.once('error', lost)
      child.once('exit', (code, signal) =>
        lost(new EngineError('internal', `the spawner of containers ended (${signal ?? code})`)),
      )
      socket.on('error', () => undefined)
      socket.on('data', (bytes: Buffer) => {
        frames.add(bytes)
        for (let frame = frames.next<SpawnAnswer>(); frame !== undefined; frame = frames.next<SpawnAnswer>()) {
          if ('proven' in frame) resolve(Object.assign(spawner, { proven: frame.proven }))
          else if ('spare' in frame) this.#takeSpare(spawner, frame.spare)
          else settle(spawner, frame)
        }
      })
    })
  }
}

function tryBorrow(pidfd: number, number: number): number | undefined {
  try {
    return borrowDescriptor(pidfd, number)
  } catch {
    return undefined
  }
}

function settle(spawner: Spawner, answer: Exclude<SpawnAnswer, { proven: boolean } | { spare: number }>): void {
  const waiting = spawner.waiting.get(answer.number)
  spawner.waiting.delete(answer.number)
  if ('pid' in answer) waiting?.resolve(answer.pid)
  else waiting?.reject(notStarted(errorOf(answer.error)))
}
