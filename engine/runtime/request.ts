/** What the runtime is asked to do, and what the halves of a creation share. */
import type { Cgroup } from '../cgroup/cgroup.ts'
import type { OciSpec } from '../spec/oci.ts'

/** An overlay(7) mount that makes (a part of) the root; the shape the snapshot layer hands down. */
export type RootMount = {
  readonly target: string
  readonly lower: readonly string[]
  readonly upper?: string
  readonly work?: string
}

export type StandardStreams = { stdin: number; stdout: number; stderr: number }

export type CreateRequest = {
  /** As state and hooks name the container. */
  id: string
  spec: OciSpec
  /** Absolute; a relative root.path counts from here. */
  bundle: string
  /** Mounted on root.path, in the container's own mount namespace. Empty: root.path is the tree itself. */
  rootMounts: readonly RootMount[]
  cgroup: Cgroup
  /** Without a terminal: what becomes descriptors 0–2. */
  streams?: StandardStreams
  /** Owners on the disk of rootMounts are the container's: shown to it as spec.linux.uidMappings and gidMappings say. */
  mapRoot?: boolean
  /** Made by the parent half of these: the root as a detached mount. */
  mappedRoot?: number
  /** By index of spec.mounts: what a bind shows, as a detached mount, where the child could not make it. */
  sources?: ReadonlyMap<number, number>
  /** A new mount of proc(5), made by the first process: whoever else makes one shows its own PID namespace. */
  procMount?: number
  /** For a bind of what the container's own mounts show: maps the owners of a copy as spec.mounts[index] has it. */
  mapOwners?: (index: number, copy: number) => void
  /** The caller may be refused what is only the machine's root's to set, and does without: device rules. */
  unprivileged?: boolean
  /** By whoever stays: the process is killed when the caller ends. */
  supervised: boolean
  /** A listening socket (blocking), at which the process waits for `start` once its maker lets it wait. */
  gate?: number
  /** How many of the caller's descriptors from 3 on the program gets. */
  preserved?: number
  /** The name of a session keyring of its own; absent: it keeps the caller's. */
  keyring?: string
  /** chroot(2) in place of pivot_root(2), for a root on rootfs(5), which cannot be left otherwise. */
  noPivot?: boolean
  /** What was left out or went wrong without being a failure: a capability the kernel lacks, a hook after the start. */
  warn: (sentence: string) => void
}
