/** /sys/fs/cgroup inside the container: cgroup2 on v2 hosts, one mount per hierarchy on v1. cgroups(7). */
import { closeSync, symlinkSync } from 'node:fs'
import { basename } from 'node:path'
import type { Cgroup } from '../cgroup/cgroup.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { attachMount, cloneTree, mount, mountFlags as ms, setMountAttributes } from '../kernel/mount.ffi.ts'
import { ensureDirectory, openDirectory, procPath } from './in-root.ts'
import { attributesOf, type MountPlan } from './mount-options.ts'
import type { CreateRequest } from './request.ts'

export function mountCgroups(root: number, destination: string, plan: MountPlan, request: CreateRequest): void {
  using cleanup = new DisposableStack()
  const target = cleanup.adopt(ensureDirectory(root, destination, 0o755), closeSync)
  const ownNamespace = request.spec.linux?.namespaces?.some(({ type }) => type === 'cgroup') === true
  if (request.cgroup.version === 2) mountUnified(target, plan, request.cgroup, ownNamespace)
  else mountHierarchies({ root, destination, target }, plan, request.cgroup, ownNamespace)
}

/**
 * In a cgroup namespace a fresh mount shows the group as its root; without one, the group's directory is bound. So it is
 * where the kernel allows no fresh one: EPERM in a user namespace that owns too little, EBUSY where a bind mount of the
 * machine's /sys has brought the same file system to the same place.
 */
function mountUnified(target: number, plan: MountPlan, cgroup: Cgroup, ownNamespace: boolean): void {
  if (ownNamespace)
    try {
      mount({ source: 'cgroup', target: procPath(target), type: 'cgroup2', flags: plan.flags })
      return
    } catch (error) {
      if (!isErrno(error, 'EPERM', 'EBUSY')) throw error
    }
  bindDirectory(target, cgroup.directories.unified!, plan.flags)
}

type Hierarchy = { name: string; controllers: string[]; directory: string }

/** The v1 hierarchies the group has a directory in, by that directory: `cpu,cpuacct` share one. */
export function hierarchiesOf(cgroup: Cgroup): Hierarchy[] {
  const byDirectory = new Map<string, Hierarchy>()
  for (const [controller, directory] of Object.entries(cgroup.directories)) {
    const known = byDirectory.get(directory)
    if (known !== undefined) known.controllers.push(controller)
    else {
      const hierarchyRoot = directory.endsWith(cgroup.path) ? directory.slice(0, -cgroup.path.length) : directory
      byDirectory.set(directory, { name: basename(hierarchyRoot), controllers: [controller], directory })
    }
  }
  return [...byDirectory.values()]
}

type Place = { root: number; destination: string; target: number }

function mountHierarchies(
  { root, destination, target }: Place,
  plan: MountPlan,
  cgroup: Cgroup,
  ownNamespace: boolean,
): void {
  mount({
    source: 'tmpfs',
    target: procPath(target),
    type: 'tmpfs',
    flags: plan.flags & ~ms.MS_RDONLY,
    data: 'mode=755',
  })
  // `target` shows what was there before the tmpfs covered it: open the tmpfs itself.
  const base = openDirectory(root, destination)
  try {
    for (const hierarchy of hierarchiesOf(cgroup)) mountHierarchy(base, hierarchy, plan, ownNamespace)
    if ((plan.flags & ms.MS_RDONLY) !== 0) setMountAttributes(base, { set: attributesOf(ms.MS_RDONLY) })
  } finally {
    closeSync(base)
  }
}

function mountHierarchy(
  base: number,
  { name, controllers, directory }: Hierarchy,
  plan: MountPlan,
  ownNamespace: boolean,
): void {
  const point = ensureDirectory(base, name, 0o755)
  try {
    const data = name === 'systemd' ? 'none,name=systemd' : controllers.join(',')
    const type = controllers.includes('unified') ? 'cgroup2' : 'cgroup'
    if (ownNamespace)
      mount({
        source: 'cgroup',
        target: procPath(point),
        type,
        flags: plan.flags,
        ...(type === 'cgroup' ? { data } : {}),
      })
    else bindDirectory(point, directory, plan.flags)
  } finally {
    closeSync(point)
  }
  for (const controller of controllers)
    if (controller !== name && name.includes(',')) symlinkSync(name, `${procPath(base)}/${controller}`)
}

function bindDirectory(target: number, directory: string, flags: number): void {
  const copy = cloneTree(directory)
  try {
    setMountAttributes(copy, { set: attributesOf(flags) })
    attachMount(copy, target)
  } finally {
    closeSync(copy)
  }
}
