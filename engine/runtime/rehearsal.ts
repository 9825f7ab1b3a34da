/**
 * One who is forked many times, or kept as an image, walks once through what its children will do, so that they find the
 * code compiled and its types known: what a child compiles for itself, every child compiles again. In a mount namespace
 * of its own, which ends with it.
 */
import { closeSync, mkdirSync, writeFileSync } from 'node:fs'
import type { CgroupHost } from '../cgroup/cgroup.ts'
import { CallSequence } from '../kernel/call-sequence.ffi.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import { lastCapability } from '../kernel/identity.ffi.ts'
import { mount, mountFlags as ms } from '../kernel/mount.ffi.ts'
import { openNamespace, setNamespace, unshare } from '../kernel/namespaces.ffi.ts'
import { executeCalls } from '../kernel/process.ffi.ts'
import { socketPair } from '../kernel/unix-socket.ffi.ts'
import { defaults } from '../spec/defaults.ts'
import type { OciSpec } from '../spec/oci.ts'
import { maskPaths, protectPaths } from './hardening.ts'
import { initCalls } from './init-calls.ts'
import type { CreateRequest } from './request.ts'
import { enterRoot, makeRoot } from './rootfs.ts'
import { type ChildMessage, expectMessage, type ParentMessage, receive, send } from './sync.ts'
import { validate } from './validate.ts'

/** A directory that every machine has; covered in the rehearsal's namespace only. */
const stage = '/tmp'

const spec: OciSpec = {
  ociVersion: '1.2.0',
  root: { path: 'root' },
  process: { user: { uid: 0, gid: 0 }, args: ['sh'], cwd: '/tmp', env: ['PATH=/bin'] },
  mounts: [
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777'] },
    { destination: '/bin', type: 'bind', source: `${stage}/lower`, options: ['rbind', 'ro', 'rprivate'] },
    { destination: '/etc/hosts', type: 'bind', source: `${stage}/file`, options: ['rbind', 'rprivate'] },
  ],
  linux: { namespaces: [{ type: 'mount' }] },
}

const requestOf = (its: OciSpec, cgroups: CgroupHost): CreateRequest => ({
  id: 'rehearsal',
  spec: its,
  bundle: stage,
  rootMounts: [{ target: '/', lower: [`${stage}/lower`], upper: `${stage}/upper`, work: `${stage}/work` }],
  cgroup: cgroups.group('/drydock'),
  supervised: true,
  warn: () => undefined,
})

function walk(cgroups: CgroupHost): void {
  // Nothing of this may reach the machine.
  mount({ target: '/', flags: ms.MS_REC | ms.MS_PRIVATE })
  mount({ source: 'tmpfs', target: stage, type: 'tmpfs', data: 'size=1m' })
  for (const name of ['lower', 'upper', 'work', 'root']) mkdirSync(`${stage}/${name}`)
  writeFileSync(`${stage}/file`, '')
  for (let round = 0; round < rehearsalRounds; round += 1) writeRow(cgroups)
  const request = requestOf(spec, cgroups)
  enterRoot(request, makeRoot(request, new Set(['mount'])))
  mkdirSync('/proc')
  mount({ source: 'proc', target: '/proc', type: 'proc' })
  protectPaths(['/proc/sys', '/proc/bus'])
  maskPaths(['/proc/keys', '/proc/scsi'])
}

/** A container, looked through, and its first process written down, but not made. */
function writeRow(cgroups: CgroupHost): void {
  const usual = { ...defaults(), process: { ...spec.process!, user: { uid: 0, gid: 0, additionalGids: [1] } } }
  validate(usual)
  const request = { ...requestOf(usual, cgroups), streams: { stdin: 0, stdout: 0, stderr: 0 }, keyring: 'rehearsal' }
  const ends = { told: 3, word: { readEnd: 4, writeEnd: 5 } }
  new CallSequence(initCalls(request, { joined: [], score: [], procPlace: 6, ends })).replaceLast(
    executeCalls(['/bin/sh'], ['sh'], ['PATH=/bin'])[0]!,
  )
}

/**
 * For a child of one who has rehearsed, while nobody waits for it: once, so that the memory that this takes is its own
 * before it has a container. Touches nothing but memory.
 */
export function warmUp(cgroups: CgroupHost): void {
  try {
    writeRow(cgroups)
  } catch {
    // As for `rehearse`.
  }
}

/** What is the same for all who are forked later is asked once, here; and the words of parent and child are exchanged. */
function introduce(): void {
  lastCapability()
  const [ours, theirs] = socketPair()
  try {
    for (let round = 0; round < rehearsalRounds; round += 1) {
      send(theirs, { type: 'created', steps: [['a step', round + 0.5]] })
      expectMessage(receive<ChildMessage>(ours), 'created')
      send(ours, { type: 'start' })
      receive<ParentMessage>(theirs)
    }
  } finally {
    close(ours)
    close(theirs)
  }
}

/** Enough for V8 to have seen the types; far from enough for it to optimize for this one line. */
export const rehearsalRounds = 20

/**
 * @param more what the caller's children do besides, done in the same place
 *
 * Precondition: the caller is the only user of its root and working directory (unshare makes it so), and may come back
 * to its own mount namespace; mount_namespaces(7). A failure only means that children start a little slower.
 */
export function rehearse(cgroups: CgroupHost, more: () => void = () => undefined): void {
  using cleanup = new DisposableStack()
  const home = cleanup.adopt(openNamespace('self', 'mount'), closeSync)
  const directory = process.cwd()
  try {
    unshare(['mount'])
    cleanup.defer(() => {
      setNamespace(home, ['mount'])
      process.chdir(directory)
    })
    walk(cgroups)
    more()
    introduce()
  } catch {
    // Said above: nothing depends on it.
  }
}
