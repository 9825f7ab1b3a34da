/**
 * The root of a container in a user namespace, from layers that know nothing of it: each is shown to the overlay
 * through a mount that maps its owners (mount_setattr(2) MOUNT_ATTR_IDMAP; overlayfs takes such layers since Linux 5.19).
 * What the container's root writes belongs to 0 on the disk, so layers are shared, and nothing is ever chowned.
 */
import { mkdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { EngineError, messageOf } from '../base/errors.ts'
import { close } from '../kernel/descriptors.ffi.ts'
import {
  attachMount,
  mountAttributes as attr,
  cloneTree,
  mount,
  mountFlags as ms,
  setMountAttributes,
} from '../kernel/mount.ffi.ts'
import { namespaceFlags } from '../kernel/namespaces.ffi.ts'
import { openAt, openDirectory, openFlags, resolveFlags } from '../kernel/paths.ffi.ts'
import { treeFromHelper } from './helper-tree.ts'
import { mountOverlay } from './overlay.ts'
import type { RootMount } from './request.ts'

const { O_PATH, O_DIRECTORY } = openFlags
const inRoot = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS

/**
 * A detached mount of the whole root: a descriptor, close-on-exec. Made by a process with a mount namespace of its own,
 * which ends with it: on the host nothing is mounted at any time.
 *
 * @param userNamespace its maps say whom the owners on the disk appear as
 * @param place an empty directory, used in that namespace only
 */
export const openMappedRoot = (parts: readonly RootMount[], userNamespace: number, place: string): number =>
  treeFromHelper({
    flags: namespaceFlags(['mount']),
    task: 'map owners',
    make: () => {
      mount({ target: '/', flags: ms.MS_PRIVATE | ms.MS_REC })
      mount({ source: 'tmpfs', target: place, type: 'tmpfs', data: 'mode=700' })
      process.chdir(place)
      mkdirSync('root')
      for (const [index, part] of parts.entries()) mountPart(part, index, userNamespace)
      return cloneTree('root', { recursive: true })
    },
  })

function mountPart(part: RootMount, index: number, userNamespace: number): void {
  const lower = part.lower.map((directory, at) => mapped(directory, `${index}-${at}`, userNamespace))
  const mappedPart = { target: part.target, lower, ...writable(part, index, userNamespace) }
  if (part.target === '/') {
    mountOverlay(mappedPart, 'root')
    return
  }
  const root = openDirectory('root')
  const target = openAt(root, part.target, { flags: O_PATH | O_DIRECTORY, resolve: inRoot })
  mountOverlay(mappedPart, `/proc/self/fd/${target}`)
}

/** Both directories must lie on one mount; overlayfs.rst, "Upper and Lower". */
function writable({ upper, work }: RootMount, index: number, userNamespace: number): { upper?: string; work?: string } {
  if (upper === undefined || work === undefined) return {}
  if (dirname(upper) !== dirname(work)) throw new Error(`${upper} and ${work} do not lie in one directory`)
  const both = mapped(dirname(upper), `${index}-upper`, userNamespace)
  return { upper: `${both}/${basename(upper)}`, work: `${both}/${basename(work)}` }
}

/** A directory of the host, seen through the map, under a name of the helper's working directory. */
function mapped(directory: string, name: string, userNamespace: number): string {
  const copy = cloneTree(directory)
  try {
    setMountAttributes(copy, { set: attr.MOUNT_ATTR_IDMAP, userNamespace })
  } catch (error) {
    throw new EngineError(
      'unavailable',
      `the file system of ${JSON.stringify(directory)} cannot map owners, which a container in a user namespace needs: ${messageOf(error)}`,
      { cause: error },
    )
  }
  mkdirSync(name)
  const target = openDirectory(name)
  attachMount(copy, target)
  close(target)
  close(copy)
  return name
}
