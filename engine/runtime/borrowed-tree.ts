/**
 * A container without a mount namespace of its own: its mounts are made below root.path in the namespace it shares, and
 * its root is a chroot(2), which bounds paths and is no wall. What was mounted is taken away by `releaseRoot`.
 */
import { closeSync, readFileSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { changeDirectory, changeRoot, unmount } from '../kernel/mount.ffi.ts'
import type { OciSpec } from '../spec/oci.ts'
import { createdKinds } from './namespaces.ts'

export const ownsTree = (spec: OciSpec): boolean => createdKinds(spec).has('mount')

/** Throws invalid where the shared tree itself, rather than what lies below root.path, would be changed. */
export function refuseChangingSharedTree(spec: OciSpec, path: string, layers: number): void {
  const refuse = (field: string): never => {
    throw new EngineError('invalid', `${field}: needs a mount namespace of the container's own`)
  }
  if (layers > 0) refuse('root.path, of layers')
  if (spec.root.readonly === true) refuse('root.readonly')
  if ((spec.linux?.rootfsPropagation ?? '') !== '') refuse('linux.rootfsPropagation')
  if (realpathSync(path) !== '/') return
  if ((spec.mounts ?? []).length > 0) refuse('mounts')
  if ((spec.linux?.maskedPaths ?? []).length > 0) refuse('linux.maskedPaths')
  if ((spec.linux?.readonlyPaths ?? []).length > 0) refuse('linux.readonlyPaths')
}

export function enterByChroot(root: number): void {
  changeDirectory(root)
  closeSync(root)
  changeRoot('.')
}

/** Octal escapes of space, tab, newline and backslash; proc_pid_mountinfo(5). */
const plain = (text: string): string =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Mount points of the caller's namespace, in the order of their making. */
export const mountPoints = (mountinfo: string): string[] =>
  mountinfo.split('\n').flatMap((line) => {
    const point = line.split(' ')[4]
    return point === undefined ? [] : [plain(point)]
  })

/** Takes away what creating the container mounted on the runtime's own tree; for one with its own there is nothing. */
export function releaseRoot({ spec, bundle }: { spec: OciSpec; bundle: string }): void {
  if (spec.linux?.namespaces?.some(({ type }) => type === 'mount') === true) return
  const root = realpathSync(resolve(bundle, spec.root.path))
  if (root === '/') return
  for (const point of mountPoints(readFileSync('/proc/self/mountinfo', 'utf8')).toReversed()) {
    if (!point.startsWith(`${root}/`)) continue
    try {
      unmount(point, { lazy: true })
    } catch (error) {
      // Gone with the one that lay on top, or somebody else was faster.
      if (!isErrno(error, 'EINVAL', 'ENOENT')) throw error
    }
  }
}
