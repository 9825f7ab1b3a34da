/** The system calls of a container's first process where its maker sets up the tree: what can be written down beforehand. */

import type { SystemCall } from '../kernel/call-sequence.ffi.ts'
import { awaitSignCall, signCall, writeFileCalls } from '../kernel/descriptors.ffi.ts'
import { permittedCapabilities } from '../kernel/identity.ffi.ts'
import { newSessionKeyringCalls } from '../kernel/keyring.ffi.ts'
import { changeDirectoryCall, fileSystemCalls, mountFlags as ms } from '../kernel/mount.ffi.ts'
import { namespaceCall, unshareCall } from '../kernel/namespaces.ffi.ts'
import { executeCalls, parentDeathCall, sessionCall } from '../kernel/process.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import type { OciMount, OciSpec } from '../spec/oci.ts'
import { becomeUserCalls, easyLimitCalls, labelsOf } from './credentials.ts'
import { attributesOf, planMount } from './mount-options.ts'
import { createdKinds, hasNamespace, type Joined } from './namespaces.ts'
import type { CreateRequest, StandardStreams } from './request.ts'
import { descriptorCalls, farewellCalls } from './row.ts'

/** The process's ends of two pipes. It keeps both of `word`, so that what it waits for is never the pipe's end. */
type RowEnds = { told: number; word: { readEnd: number; writeEnd: number } }

const procFlags = ms.MS_NOSUID | ms.MS_NODEV | ms.MS_NOEXEC | ms.MS_RELATIME

/** Whether there is one at most, and nothing is asked of it that only mount(2) can give. */
export function procMountFits(mounts: readonly OciMount[]): boolean {
  const [entry, ...others] = mounts.filter(({ type }) => type === 'proc')
  if (entry === undefined) return true
  const { flags, data } = planMount(entry.options ?? [])
  return others.length === 0 && (flags & ~procFlags) === 0 && data.length === 0
}

/** The mount of proc(5) that only a process of the container's own PID namespace can make. */
export const procMountOf = (spec: OciSpec): OciMount | undefined =>
  hasNamespace(spec, 'pid') ? spec.mounts?.find(({ type }) => type === 'proc') : undefined

type RowRequest = CreateRequest & { streams: StandardStreams }

type Given = {
  joined: Joined
  /** Of `oomScoreCalls`. */
  score: readonly SystemCall[]
  /** A number that the mount of proc(5) may have. */
  procPlace: number
  ends: RowEnds
}

/** All of them; the last is the execve(2) of a program that is still to be named. */
export const initCalls = (request: RowRequest, given: Given): SystemCall[] => [
  ...entryCalls(request, given),
  ...settlementCalls(request, given),
  ...(request.supervised ? [] : [parentDeathCall(0)]),
  ...farewellCalls(request.spec.process!, request.spec, permittedCapabilities()),
  ...executeCalls([''], [], []),
]

/** Into its groups and namespaces; then it waits, while its maker sets up the tree. Each call before what hides its object. */
function entryCalls({ cgroup, spec, keyring }: CreateRequest, given: Given): SystemCall[] {
  const proc = procMountOf(spec)
  const { told, word } = given.ends
  return [
    parentDeathCall(signalNumbers.SIGKILL),
    ...cgroup.doors.flatMap((path) => writeFileCalls(path, '0')),
    ...given.score,
    ...labelsOf(spec.process!).flatMap(({ attribute, value }) => writeFileCalls(`/proc/self/attr/${attribute}`, value)),
    ...given.joined.filter(({ type }) => type !== 'pid').map(({ type, fd }) => namespaceCall(fd, [type])),
    // After it entered: the root of a new cgroup namespace is the group its maker is in; cgroup_namespaces(7).
    ...(createdKinds(spec).has('cgroup') ? [unshareCall(['cgroup'])] : []),
    sessionCall,
    ...(keyring === undefined ? [] : newSessionKeyringCalls(keyring, 'user')),
    ...(proc === undefined ? [] : procCalls(proc, given.procPlace)),
    signCall(told),
    awaitSignCall(word.readEnd),
  ]
}

const procCalls = ({ source = 'proc', options = [] }: OciMount, place: number): SystemCall[] =>
  fileSystemCalls('proc', source, attributesOf(planMount(options).flags), place)

/** In the tree: descriptors, user, working directory; then it waits for the word to start. */
function settlementCalls({ spec, streams }: RowRequest, { ends }: Given): SystemCall[] {
  const process = spec.process!
  return [
    ...easyLimitCalls(process),
    ...descriptorCalls(streams, process.user.uid, [ends.told, ends.word.readEnd, ends.word.writeEnd]),
    ...becomeUserCalls(process, permittedCapabilities()),
    // Again: a change of identity clears it.
    parentDeathCall(signalNumbers.SIGKILL),
    // No descriptor is left through which it could lead outside.
    changeDirectoryCall(process.cwd),
    signCall(3),
    awaitSignCall(4),
  ]
}
