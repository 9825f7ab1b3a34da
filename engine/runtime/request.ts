/** What the runtime is asked to do, and what the halves of a creation share. */
import type { Cgroup } from '../cgroup/cgroup.ts'
import type { OciSeccomp, OciSpec } from '../spec/oci.ts'

/** An overlay(7) mount that makes (a part of) the root; the shape the snapshot layer hands down. */
export type RootMount = {
  readonly target: string
  readonly lower: readonly string[]
  readonly upper?: string
  readonly work?: string
}

export type StandardStreams = { stdin: number; stdout: number; stderr: number }

export type CreateRequest = {
  spec: OciSpec
  /** Absolute; a relative root.path counts from here. */
  bundle: string
  /** Mounted on root.path, in the container's own mount namespace. Empty: root.path is the tree itself. */
  rootMounts: readonly RootMount[]
  cgroup: Cgroup
  /** Without a terminal: what becomes descriptors 0–2. */
  streams?: StandardStreams
  /** By index of spec.mounts: a user namespace whose maps an `idmap` mount gets. Made by the parent half. */
  idMaps?: ReadonlyMap<number, number>
  loadSeccomp: LoadSeccomp
}

/** Loads linux.seccomp into the caller, right before execve. */
export type LoadSeccomp = (seccomp: OciSeccomp) => void
