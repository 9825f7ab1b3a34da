/**
 * The shim: the process that stands between the daemon and one container. It makes the container, owns its streams and
 * log, keeps its exit code, and goes on when the daemon does not. Runs in a process forked out of the spawner.
 */
import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { timestamp } from '../base/time.ts'
import type { Cgroup, CgroupHost } from '../cgroup/cgroup.ts'
import { close, pollEvents, read } from '../kernel/descriptors.ffi.ts'
import { dropPages, type Mapping } from '../kernel/memory.ffi.ts'
import { type ChildExit, currentPid, hasChildren, reap } from '../kernel/process.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import { accept } from '../kernel/unix-socket.ffi.ts'
import { NameServer } from '../resolver/name-server.ts'
import { resolverConfigName } from '../resolver/resolver-config.ts'
import { releaseRoot } from '../runtime/borrowed-tree.ts'
import type { SupervisedProcess } from '../runtime/create.ts'
import { type ContainerState, runHooksOnward, stateOf } from '../runtime/hooks.ts'
import { createSupervised } from '../runtime/init-row.ts'
import type { OciSpec } from '../spec/oci.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import { EventLoop } from './event-loop.ts'
import { ExitFile } from './exit-file.ts'
import { failureOf } from './failure.ts'
import { LogWriter } from './log-writer.ts'
import { ProcessIo } from './process-io.ts'
import type { AnswerFrame, EventFrame, RequestFrame, ShimAnswer, ShimRequest } from './protocol.ts'
import type { AttachStreams, ExecRequest, ShimConfig } from './shim.ts'
import { spansOf } from './spans.ts'
import { sessionKeyring, startExec } from './start-exec.ts'
import { endGroup, killPatience, type Supervised, signalProcess } from './supervised.ts'

export type SupervisorOptions = {
  /** The container's directory, where exit.json will be. */
  directory: string
  /** What lies in it: shim.json and config.json. */
  config: ShimConfig
  spec: OciSpec
  /** Listening, non-blocking. */
  listener: number
  /** A daemon's connection that was there before the container, greeted and non-blocking. */
  control?: number
  /** A signalfd(2) for SIGCHLD. */
  signals: number
  nullDevice: number
  cgroups: CgroupHost
  /** Whether it may have another container after this one. */
  reusable: boolean
  /** As in Inherited of shim-life.ts. */
  filePages: readonly Mapping[]
}

/** After an exec's process ended, whoever still holds its output has this long; wire fact 34. */
const execPatience = 2000
/** Milliseconds without anything to do, after which a shim is as small as it can be. */
const restful = 2000
/** The daemon's first connection comes within this many milliseconds, or never. */
const firstContact = 30_000

export class Supervisor implements ConnectionOwner {
  readonly #options: SupervisorOptions
  readonly #loop = new EventLoop()
  readonly #config: ShimConfig
  readonly #spec: OciSpec
  readonly #cgroup: Cgroup
  readonly #log: LogWriter | undefined
  readonly #init: Supervised<SupervisedProcess>
  readonly #execs = new Map<string, Supervised>()
  readonly #controls = new Set<Connection>()
  readonly #attached = new Map<Connection, ProcessIo>()
  readonly #exitFile: ExitFile
  #names: NameServer | undefined
  #released: Connection | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#config = options.config
    this.#spec = options.spec
    this.#exitFile = new ExitFile(options.directory)
    this.#cgroup = options.cgroups.group(this.#spec.linux?.cgroupsPath ?? `/drydock/${this.#config.id}`)
    this.#log = this.#config.log.driver === 'json-file' ? new LogWriter(this.#config.log) : undefined
    const { terminal, openStdin, stdinOnce } = this.#config
    const log = this.#log === undefined ? {} : { log: this.#log }
    this.#init = { io: new ProcessIo({ loop: this.#loop, terminal, openStdin, stdinOnce, ...log }), started: false }
  }

  /**
   * Until the container has ended and nobody wants to know more. The connection of a daemon that has been told to have
   * another container for this process.
   */
  run(): number | undefined {
    const { listener, signals, control } = this.#options
    if (control !== undefined) this.#controls.add(new Connection(control, this.#loop, this))
    this.#loop.watch(listener, { wants: () => pollEvents.POLLIN, ready: () => this.#accept() })
    this.#loop.watch(signals, { wants: () => pollEvents.POLLIN, ready: () => this.#reapAll() })
    // A daemon that was killed right after it asked for this shim never comes.
    this.#loop.after(firstContact, () => {
      if (this.#init.process === undefined && this.#controls.size === 0) this.#leave()
    })
    this.#loop.atRest(restful, () => dropPages(this.#options.filePages))
    this.#loop.run()
    close(listener)
    return this.#released?.surrender()
  }

  request(connection: Connection, frame: RequestFrame): void {
    try {
      if (frame.op === 'attach') {
        this.#attach(connection, { number: frame.number, ok: this.#logEnd(frame.afterLog) }, frame)
        return
      }
      const answer = {
        number: frame.number,
        ok: frame.op === 'release' ? this.#release(connection) : this.#perform(frame),
      }
      if (frame.op === 'exec' && frame.streams !== undefined)
        this.#attach(connection, answer, { streams: frame.streams, execId: frame.request.execId })
      else connection.sendFrame(answer)
    } catch (error) {
      connection.sendFrame({ number: frame.number, error: failureOf(error) })
    }
    if (frame.op === 'release' || (frame.op === 'create' && this.#init.process === undefined)) this.#leave()
  }

  closed(connection: Connection): void {
    this.#attached.get(connection)?.detach(connection)
    this.#attached.delete(connection)
    this.#controls.delete(connection)
    if (this.#over() || this.#init.process === undefined) this.#leaveAlone()
  }

  #over(): boolean {
    return this.#init.exit !== undefined
  }

  #leave(): void {
    this.#loop.stop()
  }

  /** Nobody listens any more, or yet; the next daemon finds the end of the container on disk, or asks here. */
  #leaveAlone(): void {
    if (this.#controls.size > 0) return
    this.#exitFile.whenWritten(this.#loop, () => this.#controls.size === 0 && this.#leave())
  }

  #accept(): void {
    for (;;) {
      const fd = accept(this.#options.listener)
      if (fd === undefined) return
      const connection = new Connection(fd, this.#loop, this)
      this.#controls.add(connection)
      connection.sendFrame(this.#hello())
    }
  }

  #hello(): EventFrame {
    const execs = [...this.#execs].map(([execId, { exit }]) => (exit === undefined ? { execId } : { execId, exit }))
    const hello = { event: 'hello' as const, pid: currentPid(), containerPid: this.#init.process?.pid ?? 0, execs }
    return this.#init.exit === undefined ? hello : { ...hello, exit: this.#init.exit }
  }

  #perform(frame: Exclude<ShimRequest, { op: 'attach' | 'release' }>): ShimAnswer {
    switch (frame.op) {
      case 'create':
        return this.#create()
      case 'start':
        return this.#start()
      case 'exec':
        return this.#exec(frame.request)
      case 'kill':
        signalProcess(this.#find(frame.execId), frame.signal)
        return {}
      case 'kill-all':
        this.#cgroup.kill(killPatience, () => this.#reapAll())
        return {}
      case 'resize':
        this.#find(frame.execId).io.resize(frame.size)
        return {}
      case 'close-stdin':
        this.#find(frame.execId).io.closeInput()
        return {}
      case 'pause':
        this.#cgroup.freeze()
        return {}
      case 'resume':
        this.#cgroup.thaw()
        return {}
      case 'update':
        this.#cgroup.apply(frame.resources)
        return {}
      case 'serve-names':
        this.#serveNames()
        return {}
      case 'adopt':
        throw new EngineError('conflict', `this supervisor has container ${this.#config.id}`)
    }
  }

  /** Nothing of the container may be left where another is to be: no client, no process, no word that is not on the disk. */
  #release(connection: Connection): ShimAnswer {
    // One that was never started has left marks on this process: runtime/init-row.ts.
    const clean = this.#init.started && this.#over() && this.#exitFile.written && !hasChildren()
    const others = [...this.#controls, ...this.#attached.keys()].some((other) => other !== connection)
    if (!this.#options.reusable || !clean || others) return {}
    this.#released = connection
    return { again: true }
  }

  #find(execId: string | undefined): Supervised {
    if (execId === undefined) return this.#init
    const exec = this.#execs.get(execId)
    if (exec === undefined) throw new EngineError('not-found', `No such exec instance: ${execId}`)
    return exec
  }

  #create(): ShimAnswer {
    if (this.#init.process !== undefined)
      throw new EngineError('conflict', `container ${this.#config.id} is created already`)
    const { directory, nullDevice } = this.#options
    const began = performance.timeOrigin + performance.now()
    const pipes = this.#config.terminal ? undefined : this.#init.io.openPipes(nullDevice)
    try {
      const process = createSupervised({
        id: this.#config.id,
        keyring: sessionKeyring(this.#config.id),
        spec: this.#spec,
        bundle: directory,
        rootMounts: this.#config.rootfs,
        mapRoot: this.#config.mapOwners === true,
        cgroup: this.#cgroup,
        supervised: true,
        warn: this.#warn,
        ...(pipes === undefined ? {} : { streams: pipes }),
      })
      this.#init.process = process
      if (process.master !== undefined) this.#init.io.setTerminal(process.master)
      return { pid: process.pid, spans: spansOf(began, process.steps) }
    } finally {
      pipes?.release()
    }
  }

  #start(): ShimAnswer {
    const { directory } = this.#options
    const process = this.#init.process
    if (process === undefined || this.#init.started)
      throw new EngineError('conflict', `container ${this.#config.id} is not waiting to be started`)
    const start = performance.timeOrigin + performance.now()
    try {
      if (existsSync(join(this.#options.directory, resolverConfigName))) this.#serveNames()
      process.start()
    } catch (error) {
      // The process was reaped where it failed; what it had is given back here.
      delete this.#init.process
      this.#cgroup.kill(killPatience)
      this.#cgroup.remove()
      releaseRoot({ spec: this.#spec, bundle: directory })
      throw error
    }
    this.#init.started = true
    const end = performance.timeOrigin + performance.now()
    this.#runHooks('poststart', { status: 'running', pid: process.pid })
    return { spans: [{ layer: 'kernel', name: 'execve', start, end }] }
  }

  #runHooks(kind: 'poststart' | 'poststop', state: Pick<ContainerState, 'status' | 'pid'>): void {
    const { directory } = this.#options
    const identity = stateOf({ id: this.#config.id, spec: this.#spec, bundle: directory })
    runHooksOnward(kind, this.#spec.hooks, { ...identity, ...state }, { directory, warn: this.#warn })
  }

  /** The shim has nobody to tell: its sentences lie beside the container's other files. */
  readonly #warn = (sentence: string): void => {
    appendFileSync(join(this.#options.directory, 'warnings.txt'), `${timestamp()} ${sentence}\n`)
  }

  #serveNames(): void {
    const path = this.#spec.linux?.namespaces?.find(({ type }) => type === 'network')?.path
    if (path === undefined)
      throw new EngineError('invalid', 'the container has no network of its own to serve names in')
    this.#names ??= new NameServer(this.#loop, this.#options.directory, path)
  }

  #exec({ execId, process, openStdin, consoleSize, timeout }: ExecRequest): ShimAnswer {
    const target = this.#init.process
    if (target === undefined || this.#init.reaped)
      throw new EngineError('conflict', `container ${this.#config.id} is not running`)
    if (this.#cgroup.frozen()) throw new EngineError('conflict', `container ${this.#config.id} is paused`)
    const terminal = process.terminal === true
    const io = new ProcessIo({ loop: this.#loop, terminal, openStdin, stdinOnce: true })
    const started = startExec(
      {
        id: this.#config.id,
        bundle: this.#options.directory,
        keyring: sessionKeyring(this.#config.id),
        pid: target.pid,
        process: consoleSize === undefined ? process : { ...process, consoleSize },
        spec: this.#spec,
        cgroup: this.#cgroup,
        supervised: true,
        warn: this.#warn,
      },
      io,
      this.#options.nullDevice,
    )
    const exec: Supervised = { io, process: started, started: true }
    this.#execs.set(execId, exec)
    if (timeout !== undefined) this.#loop.after(timeout, () => this.#timeOut(exec))
    return { pid: started.pid }
  }

  /** Here, because an exec must not outlive its time when the daemon has gone. */
  #timeOut(exec: Supervised): void {
    if (exec.exit !== undefined || this.#over()) return
    exec.timedOut = true
    signalProcess(exec, signalNumbers.SIGKILL)
  }

  #logEnd(wanted: true | undefined): ShimAnswer {
    return wanted === undefined || this.#log === undefined ? {} : { log: this.#log.position() }
  }

  #attach(
    connection: Connection,
    answer: AnswerFrame,
    to: { streams: AttachStreams; execId?: string; afterLog?: true },
  ): void {
    const { io } = this.#find(to.execId)
    this.#controls.delete(connection)
    this.#attached.set(connection, io)
    connection.sendFrame(answer)
    connection.become(to.streams.stdin ? io : ignoredInput)
    io.attach(connection, to.streams, to.afterLog)
  }

  #reapAll(): void {
    while (read(this.#options.signals, signalBuffer) > 0);
    for (let child = reap(); child !== undefined; child = reap()) this.#ended(child)
  }

  #ended(child: ChildExit): void {
    if (child.pid === this.#init.process?.pid) {
      this.#containerEnded(child)
      return
    }
    for (const [execId, exec] of this.#execs) if (exec.process?.pid === child.pid) this.#execEnded(execId, exec, child)
  }

  #execEnded(execId: string, exec: Supervised, child: ChildExit): void {
    const timedOut = exec.timedOut === true ? { timedOut: true } : {}
    const exit = { exitCode: child.exitCode, exitedAt: timestamp(), oomKilled: false, ...timedOut }
    exec.reaped = true
    close(exec.process!.pidfd)
    exec.exit = exit
    exec.io.drain(execPatience, () => {
      this.#broadcast({ event: 'exec-exit', execId, exit })
      // A daemon has heard of it; without one, the next is told when it comes.
      if (this.#controls.size > 0) this.#execs.delete(execId)
    })
  }

  /** What is left of the container goes; then its output is drained, and its end is on disk before anyone hears of it. */
  #containerEnded(child: ChildExit): void {
    const exitedAt = timestamp()
    const oomKilled = this.#endGroup()
    this.#init.reaped = true
    close(this.#init.process!.pidfd)
    this.#names?.[Symbol.dispose]()
    this.#init.io.drain(execPatience, () => {
      const exit = { exitCode: child.exitCode, exitedAt, oomKilled }
      this.#log?.[Symbol.dispose]()
      this.#exitFile.write(exit)
      this.#init.exit = exit
      this.#broadcast({ event: 'exit', exit })
      this.#leaveAlone()
    })
  }

  #endGroup(): boolean {
    const oomKilled = endGroup(this.#cgroup)
    releaseRoot({ spec: this.#spec, bundle: this.#options.directory })
    this.#runHooks('poststop', { status: 'stopped' })
    return oomKilled
  }

  #broadcast(frame: EventFrame): void {
    for (const control of this.#controls) control.sendFrame(frame)
  }
}

const signalBuffer = Buffer.alloc(128)

const ignoredInput = { input: () => undefined, hungry: () => true, inputEnded: () => undefined }
