/** The system calls of a container's first process where its maker sets up the tree: what can be written down beforehand. */

import type { SystemCall } from '../kernel/call-sequence.ffi.ts'
import { awaitSignCall, closeFromCall, placeCall, signCall, writeFileCalls } from '../kernel/descriptors.ffi.ts'
import { permittedCapabilities } from '../kernel/identity.ffi.ts'
import { newSessionKeyringCalls } from '../kernel/keyring.ffi.ts'
import { changeDirectoryCall, fileSystemCalls, mountFlags as ms } from '../kernel/mount.ffi.ts'
import { namespaceCall, unshareCall } from '../kernel/namespaces.ffi.ts'
import { fileTypes, giveCall, statusOf } from '../kernel/paths.ffi.ts'
import { executeCalls, parentDeathCall, sessionCall } from '../kernel/process.ffi.ts'
import { seccompCall } from '../kernel/seccomp.ffi.ts'
import { resetSignalsCalls } from '../kernel/signals.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import type { OciMount, OciProcess, OciSpec } from '../spec/oci.ts'
import { filterOf } from './compiled-filter.ts'
import { becomeUserCalls, easyLimitCalls, labelsOf, surrenderCalls } from './credentials.ts'
import { attributesOf, planMount } from './mount-options.ts'
import { hasNamespace, type Joined } from './namespaces.ts'
import type { CreateRequest, StandardStreams } from './request.ts'

/** The process's ends of two pipes. It keeps both of `word`, so that what it waits for is never the pipe's end. */
export type RowEnds = { told: number; word: { readEnd: number; writeEnd: number } }

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

/** Into its groups and namespaces; then it waits, while its maker sets up the tree. Each call before what hides its object. */
export function entryCalls(
  { cgroup, spec, keyring }: CreateRequest,
  given: { joined: Joined; score: readonly SystemCall[]; procPlace: number },
  { told, word }: RowEnds,
): SystemCall[] {
  const proc = procMountOf(spec)
  const ownGroups = spec.linux?.namespaces?.some(({ type, path = '' }) => type === 'cgroup' && path === '') === true
  return [
    parentDeathCall(signalNumbers.SIGKILL),
    ...cgroup.doors.flatMap((path) => writeFileCalls(path, '0')),
    ...given.score,
    ...labelsOf(spec.process!).flatMap(({ attribute, value }) => writeFileCalls(`/proc/self/attr/${attribute}`, value)),
    ...given.joined.filter(({ type }) => type !== 'pid').map(({ type, fd }) => namespaceCall(fd, [type])),
    // After it entered: the root of a new cgroup namespace is the group its maker is in; cgroup_namespaces(7).
    ...(ownGroups ? [unshareCall(['cgroup'])] : []),
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
export function settlementCalls(
  { spec, streams }: CreateRequest & { streams: StandardStreams },
  ends: RowEnds,
): SystemCall[] {
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

/** 0 to 2 are the streams, what is kept until execve(2) is 3 and so on, and that is all. */
export function descriptorCalls(
  { stdin, stdout, stderr }: StandardStreams,
  uid: number,
  kept: readonly number[],
): SystemCall[] {
  const streams = [stdin, stdout, stderr]
  return [
    ...streams.map((from, to) => placeCall(from, to)),
    ...kept.map((from, index) => placeCall(from, 3 + index, true)),
    closeFromCall(3 + kept.length),
    // The null device is everybody's.
    ...streams.flatMap((fd, to) =>
      (statusOf(fd).mode & fileTypes.S_IFMT) === fileTypes.S_IFIFO ? [giveCall(to, uid)] : [],
    ),
  ]
}

/** The powers go, and execve(2) comes: of a program that is still to be named. */
export function launchCalls({ spec }: CreateRequest): SystemCall[] {
  const process: OciProcess = spec.process!
  const filter = filterOf(spec)
  const { beforeFilter, behindFilter } = surrenderCalls(process, permittedCapabilities())
  return [
    ...resetSignalsCalls,
    ...beforeFilter,
    ...(filter === undefined ? [] : [seccompCall(filter)]),
    ...behindFilter,
    ...executeCalls([''], [], []),
  ]
}
