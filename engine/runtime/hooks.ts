/**
 * Hooks: programs of the bundle's author that run at named moments of a container's life, with its state as JSON on
 * their input; runtime-spec config.md "POSIX-platform Hooks", runtime.md "Lifecycle". Synchronous, for processes that
 * may fork (process.ffi.ts `clone`): the shim, the command line, and a container's child half.
 */
import { closeSync } from 'node:fs'
import { EngineError, messageOf } from '../base/errors.ts'
import {
  again,
  close,
  closeFrom,
  PollSet,
  pipe,
  placeAt,
  pollEvents,
  read,
  setNonBlocking,
  write,
} from '../kernel/descriptors.ffi.ts'
import { clone, cloneFlags, execve, exit, pidfdSendSignal, reap } from '../kernel/process.ffi.ts'
import { resetSignals } from '../kernel/signals.ffi.ts'
import { describeSignal, signalNumbers } from '../kernel/signals.table.ts'
import type { OciHook, OciHooks, OciSpec } from '../spec/oci.ts'
import type { Execute } from './process-steps.ts'
import type { CreateRequest } from './request.ts'

export type HookKind = keyof OciHooks

/** runtime-spec runtime.md "State". */
export type ContainerState = {
  ociVersion: string
  id: string
  status: 'creating' | 'created' | 'running' | 'stopped'
  /** As the hook sees it: the host's number, or for a hook in the container's namespaces that of its own. */
  pid?: number
  bundle: string
  annotations?: Record<string, string>
}

/** What of the state does not change. */
export const stateOf = ({
  id,
  spec,
  bundle,
}: Pick<CreateRequest, 'id' | 'spec' | 'bundle'>): Omit<ContainerState, 'status' | 'pid'> => ({
  ociVersion: spec.ociVersion,
  id,
  bundle,
  ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
})

/** Those that run in the runtime's namespaces before the container's root is entered; the first is the old name. */
export const runtimeHooks = ['prestart', 'createRuntime'] as const

/** Whether the parent has something to do for the container while its child waits before its root. */
export const pausesBeforeRoot = ({ hooks, linux }: OciSpec): boolean =>
  runtimeHooks.some((kind) => (hooks?.[kind] ?? []).length > 0) || Object.keys(linux?.netDevices ?? {}).length > 0

export type HookPlace = {
  /** Working directory of the hooks; absent: that of the caller. */
  directory?: string
  /** For hooks that name none of their own. */
  environment?: readonly string[]
  /** Absent: execve(2) as it is. */
  execute?: Execute
}

/** One after the other; the first that fails ends the row and throws, with what it wrote. */
export function runHooks(
  kind: HookKind,
  hooks: OciHooks | undefined,
  state: ContainerState,
  place: HookPlace = {},
): void {
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    const failure = runHook(hook, JSON.stringify(state), place)
    if (failure !== undefined)
      throw new EngineError('invalid', `error running ${kind} hook #${index}: ${hook.path}: ${failure}`)
  }
}

/** For poststart and poststop: a failure is told and the others still run; runtime.md "Lifecycle". */
export function runHooksOnward(
  kind: 'poststart' | 'poststop',
  hooks: OciHooks | undefined,
  state: ContainerState,
  options: { directory?: string; warn: (sentence: string) => void },
): void {
  const place = options.directory === undefined ? {} : { directory: options.directory }
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    try {
      const failure = runHook(hook, JSON.stringify(state), place)
      if (failure !== undefined) options.warn(`${kind} hook #${index}: ${hook.path}: ${failure}`)
    } catch (error) {
      options.warn(`${kind} hook #${index}: ${hook.path}: ${messageOf(error)}`)
    }
  }
}

/** Of a hook's words at most this many bytes are kept for the error. */
const mostKept = 4096

type Running = { pid: number; pidfd: number; input: number; output: number }

/** What went wrong, or undefined. */
function runHook(hook: OciHook, state: string, place: HookPlace): string | undefined {
  using cleanup = new DisposableStack()
  const input = pipe()
  cleanup.defer(() => close(input.readEnd))
  const output = pipe()
  cleanup.defer(() => close(output.readEnd))
  const child = clone({ flags: cloneFlags.CLONE_PIDFD })
  if (child.pid === 0) becomeHook(hook, input.readEnd, output.writeEnd, place)
  cleanup.adopt(child.pidfd, closeSync)
  close(output.writeEnd)
  const running = { ...child, input: input.writeEnd, output: output.readEnd }
  const { timedOut, words } = converseWithHook(running, Buffer.from(state), (hook.timeout ?? 0) * 1000)
  const end = reap({ pid: child.pid, block: true })
  const said = words === '' ? '' : `: ${words}`
  if (timedOut) return `was ended after its timeout of ${hook.timeout} s${said}`
  if (end?.signal !== undefined) return `signal: ${describeSignal(end.signal)}${said}`
  return end?.exitCode === 0 ? undefined : `exit status ${end?.exitCode}${said}`
}

function becomeHook(hook: OciHook, input: number, output: number, place: HookPlace): never {
  try {
    placeAt(input, 0)
    placeAt(output, 1)
    placeAt(output, 2)
    closeFrom(3, 'at execve')
    if (place.directory !== undefined) process.chdir(place.directory)
    resetSignals()
    const execute: Execute = place.execute ?? execve
    // Nothing of the runtime's own environment: it may hold what is none of the hook's business.
    execute(
      hook.path,
      hook.args === undefined || hook.args.length === 0 ? [hook.path] : hook.args,
      hook.env ?? place.environment ?? [],
    )
  } catch (error) {
    write(2, Buffer.from(messageOf(error)))
  }
  exit(127)
}

/** Feeds the state, keeps the first words, until the hook ends or its time is over; `timeout` in ms, 0 is for ever. */
function converseWithHook(hook: Running, state: Buffer, timeout: number): { timedOut: boolean; words: string } {
  const deadline = timeout === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeout
  const talk = new HookTalk(hook, state)
  let timedOut = false
  while (!talk.step(waitTime(deadline))) {
    timedOut ||= performance.now() >= deadline
    if (timedOut) pidfdSendSignal(hook.pidfd, signalNumbers.SIGKILL)
  }
  return { timedOut, words: talk.end() }
}

/** poll(2) takes whole milliseconds in 31 bits. */
const waitTime = (deadline: number): number =>
  deadline === Number.POSITIVE_INFINITY
    ? -1
    : Math.min(Math.max(0, Math.ceil(deadline - performance.now())), 2 ** 31 - 1)

class HookTalk {
  readonly #hook: Running
  readonly #polls = new PollSet()
  readonly #kept: Buffer[] = []
  #rest: Buffer
  #inputOpen = true
  #outputOpen = true

  constructor(hook: Running, state: Buffer) {
    this.#hook = hook
    this.#rest = state
    setNonBlocking(hook.input, true)
    setNonBlocking(hook.output, true)
  }

  /** Waits for something to happen and deals with it; whether the hook has ended. */
  step(timeout: number): boolean {
    const polls = this.#polls
    polls.clear()
    const ended = polls.add(this.#hook.pidfd, pollEvents.POLLIN)
    const speaks = this.#outputOpen ? polls.add(this.#hook.output, pollEvents.POLLIN) : undefined
    const listens = this.#inputOpen ? polls.add(this.#hook.input, pollEvents.POLLOUT) : undefined
    polls.wait(timeout)
    if (speaks !== undefined && polls.events(speaks) !== 0) this.#hear()
    if (listens !== undefined && polls.events(listens) !== 0) this.#tell()
    return polls.events(ended) !== 0
  }

  end(): string {
    this.#endInput()
    if (this.#outputOpen) this.#hear()
    return Buffer.concat(this.#kept).toString('utf8').slice(0, mostKept).trim()
  }

  #tell(): void {
    const written = write(this.#hook.input, this.#rest)
    if (written === again) return
    // A hook that does not read its input breaks the pipe, and may.
    this.#rest = written < 0 ? Buffer.alloc(0) : this.#rest.subarray(written)
    if (this.#rest.length === 0) this.#endInput()
  }

  #endInput(): void {
    if (this.#inputOpen) close(this.#hook.input)
    this.#inputOpen = false
  }

  /** All that is there; the first bytes are kept, the rest is read so that nobody blocks on a full pipe. */
  #hear(): void {
    let count = read(this.#hook.output, chunk)
    for (; count > 0; count = read(this.#hook.output, chunk))
      if (this.#kept.reduce((sum, { length }) => sum + length, 0) < mostKept)
        this.#kept.push(Buffer.from(chunk.subarray(0, count)))
    this.#outputOpen = count !== 0
  }
}

const chunk = Buffer.alloc(4096)
