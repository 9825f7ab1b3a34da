/**
 * A container's first process, the quick way: one that shares its maker's memory makes a prepared row of system calls,
 * and the maker sets up the tree itself, going into the new namespaces meanwhile (docs/decisions/0018). Nothing is copied,
 * and no JavaScript runs in the new process. What they cannot do between them is left to `forkContainer`.
 */
import { closeSync } from 'node:fs'
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import type { Cgroup } from '../cgroup/cgroup.ts'
import { CallSequence } from '../kernel/call-sequence.ffi.ts'
import { close, pipe, read, write } from '../kernel/descriptors.ffi.ts'
import { SyscallError } from '../kernel/libc.ffi.ts'
import { openPath } from '../kernel/paths.ffi.ts'
import { borrowDescriptor, executeCalls } from '../kernel/process.ffi.ts'
import type { OciNamespaceType, OciProcess, OciSpec } from '../spec/oci.ts'
import { endChild, forkContainer, inNewGroup, type SupervisedProcess } from './create.ts'
import { asRealUser, oomScoreCalls, warnOfLeftOut } from './credentials.ts'
import { hideFromContainer } from './exec.ts'
import { execFailure } from './executable.ts'
import { pausesBeforeRoot } from './hooks.ts'
import { giveStreams } from './id-map.ts'
import { initCalls, procMountFits, procMountOf } from './init-calls.ts'
import { closeJoined, createdKinds, hasNamespace, newNamespaceFlags, openJoined } from './namespaces.ts'
import { prepareMounts } from './prepare-mounts.ts'
import { enterWorkingDirectory, programOf, type Step, type StepTimes } from './process-steps.ts'
import type { CreateRequest, StandardStreams } from './request.ts'
import { cloneRowInto, fitsAnyRow } from './row.ts'
import { expectMessage, failure } from './sync.ts'
import { enterTree, makeTree, protectTree, setNames, type TreeContext } from './tree-steps.ts'
import { visit } from './visit.ts'

type Kinds = ReadonlySet<OciNamespaceType>
type RowRequest = CreateRequest & { streams: StandardStreams }

/** As `createContainer`, for who stays until the start. */
export const createSupervised = (request: CreateRequest): SupervisedProcess =>
  inNewGroup(request, () => createInRow(request) ?? forkContainer(request))

/** What a row and its maker can do between them. */
function fitsRow(request: CreateRequest, created: Kinds): request is RowRequest {
  const { spec, streams } = request
  // Who is in a PID namespace that was there before could stop the process, and its maker with it.
  const ownPids = created.has('pid') || !hasNamespace(spec, 'pid')
  const hooks = [...(spec.hooks?.createContainer ?? []), ...(spec.hooks?.startContainer ?? [])]
  return (
    process.geteuid?.() === 0 &&
    request.unprivileged !== true &&
    streams !== undefined &&
    request.gate === undefined &&
    request.noPivot !== true &&
    request.mapRoot !== true &&
    created.has('mount') &&
    ownPids &&
    // The maker would work there with the machine's powers; and who shares memory may not change its time, setns(2).
    !hasNamespace(spec, 'user') &&
    !hasNamespace(spec, 'time') &&
    hooks.length === 0 &&
    !pausesBeforeRoot(spec) &&
    procMountFits(spec.mounts ?? []) &&
    ![...(spec.linux?.maskedPaths ?? []), ...(spec.linux?.readonlyPaths ?? [])].some(isOnesOwn) &&
    fitsAnyRow({ ...request, process: spec.process! })
  )
}

/** Of the process that looks, which the maker is not; where it finds nothing, it would protect nothing. */
const isOnesOwn = (path: string): boolean => /^\/proc\/(thread-)?self(\/|$)/.test(posix.normalize(path))

/** Undefined, and nothing is left, where a row cannot do it or did not come through: then a fork does it, or says why. */
function createInRow(request: CreateRequest): SupervisedProcess | undefined {
  const created = createdKinds(request.spec)
  if (!fitsRow(request, created)) return undefined
  using prepared = prepareMounts(request)
  giveStreams(request.streams, request.spec, request.spec.process!)
  const process = begin(request, created)
  if (process === undefined) return undefined
  try {
    if (process.setUp({ ...request, ...prepared }, created)) return process
  } catch {
    // As the container's own process, which the fork makes, it may come out otherwise: /proc/self is one's own.
  }
  process.abandon()
  return undefined
}

function begin(request: RowRequest, created: Kinds): InitProcess | undefined {
  using kept = new DisposableStack()
  using childs = new DisposableStack()
  const [told, word] = [pipe(), pipe()]
  for (const fd of [told.readEnd, word.writeEnd]) kept.adopt(fd, close)
  for (const fd of [told.writeEnd, word.readEnd]) childs.adopt(fd, close)
  // Until it is the program its memory is the caller's, and so are the mark that closes it to others and the score.
  kept.use(hideFromContainer())
  const score = kept.use(oomScoreCalls(request.spec.process!)).calls
  const joined = childs.adopt(openJoined(request.spec), closeJoined)
  const procPlace = childs.adopt(openPath('/'), closeSync)
  const ends = { told: told.writeEnd, word }
  const row = new CallSequence(initCalls(request, { joined, score, procPlace, ends }))
  const child = makeProcess(request.cgroup, created, row)
  return child && new InitProcess(child, { row, told: told.readEnd, word: word.writeEnd, procPlace, kept: kept.move() })
}

function makeProcess(cgroup: Cgroup, created: Kinds, row: CallSequence): { pid: number; pidfd: number } | undefined {
  try {
    return cloneRowInto(cgroup, newNamespaceFlags(created), row)
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error
    return undefined
  }
}

/** Where the maker works: what it sees there is what the container sees, but for the processes. */
const visitedKinds = ({ linux }: OciSpec): OciNamespaceType[] =>
  (linux?.namespaces ?? []).map(({ type }) => type).filter((type) => type !== 'pid')

type Held = { row: CallSequence; told: number; word: number; procPlace: number; kept: DisposableStack }

const sign = Buffer.alloc(1)

class InitProcess implements SupervisedProcess {
  readonly pid: number
  readonly pidfd: number
  readonly steps: StepTimes = []
  readonly #held: Held
  #program = ''

  constructor({ pid, pidfd }: { pid: number; pidfd: number }, held: Held) {
    this.pid = pid
    this.pidfd = pidfd
    this.#held = held
  }

  /** False where the process did not come through its part; throws where the tree could not be made. */
  setUp(request: CreateRequest, created: Kinds): boolean {
    if (!this.#timed('enter namespaces', () => this.#hear())) return false
    using cleanup = new DisposableStack()
    const made = procMountOf(request.spec) && {
      procMount: cleanup.adopt(borrowDescriptor(this.pidfd, this.#held.procPlace), close),
    }
    const mapOwners = (index: number, tree: number): void => request.mapOwners?.(index, tree)
    this.#makeTree({ request: { ...request, ...made }, created, mapOwners })
    const settled = this.#timed('become user', () => {
      write(this.#held.word, sign)
      return this.#hear()
    })
    // The fork says it else.
    if (settled) warnOfLeftOut(request.spec.process!, request.warn)
    return settled
  }

  #makeTree(context: TreeContext): void {
    const { spec } = context.request
    const enterDirectory: Step<TreeContext> = [
      'enter working directory',
      () => enterWorkingDirectory(spec.process!.cwd),
    ]
    const findProgram: Step<TreeContext> = ['find program', () => this.#find(spec.process!)]
    using _there = visit(this, visitedKinds(spec))
    for (const [name, run] of [setNames, makeTree, enterTree, ...protectTree, enterDirectory, findProgram])
      this.#timed(name, () => run(context))
  }

  #find(process: OciProcess): void {
    using _user = asRealUser(process.user)
    const { program, environment } = programOf(process)
    this.#program = program
    this.#held.row.replaceLast(executeCalls([program], process.args, environment)[0]!)
  }

  start(): void {
    if (write(this.#held.word, sign) < 0)
      throw new EngineError('internal', 'the container process ended before it was started')
    this.#hear()
    const error = this.#held.row.failure()
    if (error === undefined) {
      this.#held.kept.dispose()
      return
    }
    this.abandon()
    if (error instanceof SyscallError && error.syscall === 'execve') throw execFailure(this.#program, error)
    expectMessage(failure('surrender powers', error), 'created')
  }

  abandon(): void {
    endChild(this)
    this.#held.kept.dispose()
  }

  /** Waits; whether a sign came. Else the process has ended, or is the program. */
  #hear(): boolean {
    return read(this.#held.told, sign) === 1
  }

  #timed<Result>(step: string, run: () => Result): Result {
    const start = performance.now()
    const result = run()
    this.steps.push([step, performance.now() - start])
    return result
  }
}
