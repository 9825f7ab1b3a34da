/**
 * The last stretch to a container's program, the same for its first process and for one that joins later: limits,
 * descriptors, user, working directory; then the wait for `start`; then the powers go and execve(2) comes. Synchronous,
 * in a forked process; never returns.
 */
import { EngineError } from '../base/errors.ts'
import { CallSequence, makeCalls } from '../kernel/call-sequence.ffi.ts'
import { close, closeFrom, PollSet, placeAt, pollEvents, read, setCloseOnExec } from '../kernel/descriptors.ffi.ts'
import { permittedCapabilities } from '../kernel/identity.ffi.ts'
import { isErrno, SyscallError } from '../kernel/libc.ffi.ts'
import { changeOwner, fileTypes, statusOf } from '../kernel/paths.ffi.ts'
import { executeCalls, exit, setParentDeathSignal } from '../kernel/process.ffi.ts'
import { seccompCall } from '../kernel/seccomp.ffi.ts'
import type { SeccompFilter } from '../kernel/seccomp-program.ts'
import { blockSignals, resetSignals, signalDescriptor, signalInfoSize, signalNumberIn } from '../kernel/signals.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import { setControllingTerminal, setWindowSize } from '../kernel/terminal.ffi.ts'
import { acceptNext } from '../kernel/unix-socket.ffi.ts'
import type { OciLinux, OciProcess } from '../spec/oci.ts'
import { openConsole } from './console.ts'
import {
  applyLabels,
  applyOomScore,
  becomeUserCalls,
  easyLimitCalls,
  surrenderCalls,
  warnOfLeftOut,
  withHome,
} from './credentials.ts'
import { execFailure, findExecutable } from './executable.ts'
import type { StandardStreams } from './request.ts'
import { applyExecutionDomain, applyScheduling } from './scheduling.ts'
import { offerListener } from './seccomp-listener.ts'
import { failure, type ParentMessage, receive, send } from './sync.ts'

export type ProcessContext = {
  /** This side's end of the conversation with the parent. */
  sync: number
  process: OciProcess
  /** The container's. */
  linux: OciLinux
  streams?: StandardStreams
  /** The container's, if it has one. */
  filter?: SeccompFilter
  supervised: boolean
  gate?: number
  preserved?: number
  /** exec only: the session keyring to join, by its name. */
  keyring?: string
  /** After the word to start: runs what comes first, by `execute`, with no more powers than the program has. */
  beforeLaunch?: (execute: Execute, environment: readonly string[]) => void
  /** The out-of-memory score was set from outside of the user namespace, where there is the right to. */
  scored: boolean
  /** The terminal's other end, once one is open. */
  master?: number
  program?: string
  environment?: readonly string[]
}

/** As execve(2): returns only by throwing. */
export type Execute = (path: string, args: readonly string[], environment: readonly string[]) => never

export type Step<Context> = readonly [name: string, run: (context: Context) => unknown]
export type StepTimes = [name: string, milliseconds: number][]

/** Order: the last that needs privileges comes before `become user`. */
export const processSteps: readonly Step<ProcessContext>[] = [
  ['set limits', ({ process }) => makeCalls(easyLimitCalls(process))],
  ['set scheduling', ({ process }) => applyScheduling(process)],
  ['set execution domain', ({ linux }) => applyExecutionDomain(linux)],
  ['set out-of-memory score', ({ process, scored }) => scored || applyOomScore(process)],
  ['set labels', ({ process }) => applyLabels(process)],
  ['place descriptors', placeDescriptors],
  ['own standard streams', ({ process }) => ownStreams(process.user.uid)],
  ['become user', becomeUser],
  // After the user: a change of identity clears it. The container goes when its supervisor is killed.
  ['die with the supervisor', ({ supervised }) => supervised && setParentDeathSignal(signalNumbers.SIGKILL)],
  ['enter working directory', ({ process }) => enterWorkingDirectory(process.cwd)],
  ['find program', findProgram],
]

/** Runs all steps, waits, and executes the program; a failure is told to the parent by its step's name. */
export function runToProgram<Context extends ProcessContext>(context: Context, steps: readonly Step<Context>[]): never {
  let current = 'start'
  try {
    const times: StepTimes = []
    for (const [name, run] of [...steps, ...processSteps]) {
      current = name
      const start = performance.now()
      run(context)
      times.push([name, performance.now() - start])
    }
    current = 'wait for start'
    send(context.sync, {
      type: 'created',
      steps: times,
      ...(context.master === undefined ? {} : { master: context.master }),
    })
    awaitStart(context)
    current = 'run startContainer hooks'
    // A hook has no agent to answer for it: its notified calls fail with ENOSYS.
    context.beforeLaunch?.(
      (path, args, environment) => execute(context, { path, args, environment }, close),
      context.environment!,
    )
    current = 'surrender powers'
    launch(context)
  } catch (error) {
    reportAndExit(context.sync, current, error)
  }
}

/** Of all descriptors but the program's own; nobody is left who would borrow one. Answers the number it has now. */
function keepOnly(fd: number, preserved: number): number {
  const place = 3 + preserved
  placeAt(fd, place)
  setCloseOnExec(place)
  closeFrom(place + 1)
  return place
}

const endingSignals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const

/** As process 1 it would not even notice them, and whoever sends one to a created container means its end. */
function holdEndingSignals(): number {
  const numbers = endingSignals.map((name) => signalNumbers[name])
  blockSignals(numbers)
  return signalDescriptor(numbers)
}

function nextConnection(gate: number, signals: number): number {
  const polls = new PollSet()
  for (;;) {
    polls.clear()
    const atGate = polls.add(gate, pollEvents.POLLIN)
    const atSignals = polls.add(signals, pollEvents.POLLIN)
    polls.wait(-1)
    if (polls.events(atSignals) !== 0) {
      const info = Buffer.alloc(signalInfoSize)
      if (read(signals, info) > 0) exit(128 + signalNumberIn(info))
    }
    if (polls.events(atGate) !== 0) return acceptNext(gate)
  }
}

/** From the maker, or after it went from whoever comes to the gate; one who only looks whether it is open says nothing. */
function awaitStart(context: ProcessContext): void {
  let word = receive<ParentMessage>(context.sync)
  if (word?.type === 'await-start') {
    const gate = keepOnly(context.gate!, context.preserved ?? 0)
    const signals = holdEndingSignals()
    do {
      context.sync = nextConnection(gate, signals)
      word = receive<ParentMessage>(context.sync)
      if (word === undefined) close(context.sync)
    } while (word === undefined)
  }
  if (word?.type !== 'start') exit(1)
}

export function reportAndExit(sync: number, step: string, error: unknown): never {
  try {
    send(sync, failure(step, error))
  } catch {
    // The parent is gone: nobody is left to hear it.
  }
  exit(1)
}

type Program = { path: string; args: readonly string[]; environment: readonly string[] }

/**
 * Gives up the powers and executes, in one row of calls: Node needs memory and calls that limits and filter may deny. A
 * filter that notifies breaks the row, as its listener must be handed over before the next call can need an answer.
 */
function execute(context: ProcessContext, program: Program, withListener: (fd: number) => void): never {
  const { beforeFilter, behindFilter } = surrenderCalls(context.process, permittedCapabilities())
  const { filter } = context
  const toFilter = filter === undefined ? beforeFilter : [...beforeFilter, seccompCall(filter)]
  const rest = [...behindFilter, ...executeCalls([program.path], program.args, program.environment)]
  if (filter?.notify === true) {
    const behind = new CallSequence(rest)
    withListener(Number(makeCalls(toFilter)))
    behind.run()
  } else makeCalls([...toFilter, ...rest])
  throw new Error('execve returned')
}

function launch(context: ProcessContext): never {
  const { process, program, environment, sync } = context
  resetSignals()
  try {
    execute(context, { path: program!, args: process.args, environment: environment! }, (listener) =>
      offerListener(sync, listener),
    )
  } catch (error) {
    throw error instanceof SyscallError && error.syscall === 'execve' ? execFailure(program!, error) : error
  }
}

/** Opens a terminal inside the root that the caller is in, and makes it descriptors 0–2 and the session's own. */
export function takeTerminal(context: ProcessContext, beforeUse: (slave: number) => void = () => undefined): void {
  if (context.process.terminal !== true) return
  const { master, slave } = openConsole()
  beforeUse(slave)
  if (context.process.consoleSize !== undefined) setWindowSize(master, context.process.consoleSize)
  setControllingTerminal(slave)
  for (const target of [0, 1, 2]) placeAt(slave, target)
  close(slave)
  context.master = master
}

function placeDescriptors({ streams, sync, preserved = 0 }: ProcessContext): void {
  if (streams !== undefined) {
    placeAt(streams.stdin, 0)
    placeAt(streams.stdout, 1)
    placeAt(streams.stderr, 2)
  }
  for (let fd = 3; fd < 3 + preserved; fd += 1) placeAt(fd, fd)
  // Everything else, known or not, ends at execve: a descriptor that leaks is a way out of the container.
  closeFrom(3 + preserved, 'at execve')
  setCloseOnExec(sync)
}

/**
 * A program that opens /dev/stdout anew must be allowed to. Not what everybody shares (the null device), and not where
 * the file system or the container's id map refuses.
 */
function ownStreams(uid: number): void {
  for (const fd of [0, 1, 2]) {
    const { mode, uid: owner, gid, deviceMajor, deviceMinor } = statusOf(fd)
    const nullDevice = (mode & fileTypes.S_IFMT) === fileTypes.S_IFCHR && deviceMajor === 1 && deviceMinor === 3
    if (owner === uid || nullDevice) continue
    try {
      changeOwner(fd, uid, gid)
    } catch (error) {
      if (!isErrno(error, 'EPERM', 'EINVAL', 'EROFS')) throw error
    }
  }
}

function becomeUser({ process, sync }: ProcessContext): void {
  warnOfLeftOut(process, (text) => send(sync, { type: 'warning', text }))
  makeCalls(becomeUserCalls(process, permittedCapabilities()))
}

/** A working directory reached through a leaked descriptor shows as unreachable; getcwd(3). */
export function enterWorkingDirectory(directory: string): void {
  try {
    process.chdir(directory)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new EngineError('invalid', `chdir to cwd (${JSON.stringify(directory)}) set in config.json failed: ${code}`, {
      cause: error,
    })
  }
  if (!liesInside()) throw new EngineError('forbidden', 'the working directory lies outside of the container root')
}

/** getcwd(3) does not know of what lies outside of the root: ENOENT, or a name that says so. */
function liesInside(): boolean {
  try {
    return process.cwd().startsWith('/')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

function findProgram(context: ProcessContext): void {
  Object.assign(context, programOf(context.process))
}

/** In the container's root, for the real user. */
export function programOf(process: OciProcess): { program: string; environment: readonly string[] } {
  const first = process.args[0]
  if (first === undefined) throw new EngineError('invalid', 'process.args: no command specified')
  const environment = withHome(process.env ?? [], process.user.uid)
  const override = process.capabilities?.effective?.includes('CAP_DAC_OVERRIDE') === true
  return { program: findExecutable(first, environment, override), environment }
}
