/**
 * What the parent half makes ready for the child's mounts: a child in a user namespace may neither see every directory of
 * the host nor map owners, which takes CAP_SYS_ADMIN over the file system; mount_setattr(2).
 */
import { closeSync } from 'node:fs'
import { resolve } from 'node:path'
import { isErrno } from '../kernel/libc.ffi.ts'
import { mountFlags as ms } from '../kernel/mount.ffi.ts'
import type { OciIdMapping, OciMount, OciSpec } from '../spec/oci.ts'
import { mapOwners, openSource } from './bind.ts'
import { foreignSource, openForeignSource } from './foreign-source.ts'
import { UserNamespaces } from './id-map.ts'
import { openMappedRoot } from './mapped-root.ts'
import { absoluteMount, inPlace, isBind, type MountPlan, mapsOwners, planMount } from './mount-options.ts'
import { hasNamespace } from './namespaces.ts'
import type { CreateRequest } from './request.ts'

type Prepared = Disposable & Pick<CreateRequest, 'mappedRoot' | 'sources' | 'mapOwners'>

/** Close it once the child has made its mounts. */
export function prepareMounts(request: CreateRequest): Prepared {
  const { spec, bundle } = request
  using cleanup = new DisposableStack()
  const maps = cleanup.use(new UserNamespaces())
  const sources = new Map<number, number>()
  for (const [index, entry] of (spec.mounts ?? []).entries()) {
    const fd = inPlace(index, entry, () => sourceOf(request, entry, maps))
    if (fd !== undefined) sources.set(index, cleanup.adopt(fd, closeSync))
  }
  const mapListed = (index: number, copy: number): void => {
    const entry = spec.mounts?.[index]
    if (entry !== undefined) mapOwnersOf(copy, absoluteMount(entry, bundle), spec, maps)
  }
  const prepared = {
    sources,
    mapOwners: mapListed,
    ...(request.mapRoot === true ? { mappedRoot: rootOf(request, maps, bundle) } : {}),
  }
  if (prepared.mappedRoot !== undefined) cleanup.adopt(prepared.mappedRoot, closeSync)
  const owned = cleanup.move()
  return { ...prepared, [Symbol.dispose]: () => owned.dispose() }
}

function rootOf({ spec, rootMounts }: CreateRequest, maps: UserNamespaces, bundle: string): number {
  const { uidMappings = [], gidMappings = [] } = spec.linux ?? {}
  return openMappedRoot(
    rootMounts,
    maps.get(withMachineRoot(uidMappings), withMachineRoot(gidMappings)),
    resolve(bundle, spec.root.path),
  )
}

/** 2^32 - 2: nobody is given it. */
const spareId = 4294967294

/**
 * The machine's root has an owner on the disk, too: what the engine makes in a running container is its own for the
 * moment before it is given away, and the file system refuses to make what nobody on it would own (EOVERFLOW).
 */
const withMachineRoot = (mappings: readonly OciIdMapping[]): OciIdMapping[] =>
  mappings.some(({ hostID }) => hostID === 0)
    ? [...mappings]
    : [...mappings, { containerID: spareId, hostID: 0, size: 1 }]

/** undefined where the caller has no right to: an ordinary user's runtime, whose child has it in its own namespaces. */
function trySource(entry: OciMount, plan: MountPlan): number | undefined {
  try {
    return openSource(entry, plan)
  } catch (error) {
    if (isErrno(error, 'EPERM')) return undefined
    throw error
  }
}

/** The maps of a mount: its own, or for `idmap` without any those of the container; config.md "Mounts". */
function mapOwnersOf(copy: number, entry: OciMount, spec: OciSpec, maps: UserNamespaces): void {
  const { uidMappings, gidMappings, source = '', options = [] } = entry
  const joined = spec.linux?.namespaces?.find(({ type, path = '' }) => type === 'user' && path !== '')
  const userNamespace =
    joined?.path === undefined || uidMappings !== undefined
      ? maps.get(uidMappings ?? spec.linux?.uidMappings ?? [], gidMappings ?? spec.linux?.gidMappings ?? [])
      : maps.open(joined.path)
  mapOwners(copy, userNamespace, source, planMount(options).idmap === 'recursive')
}

/** An open file of a process is on a mount of that one's namespace, which is the parent's, too, and not the child's. */
const isOpenFile = (source: string): boolean => /^\/proc\/\d+\/fd\/\d+$/.test(source)

function sourceOf({ spec, bundle }: CreateRequest, listed: OciMount, maps: UserNamespaces): number | undefined {
  const entry = absoluteMount(listed, bundle)
  const plan = planMount(entry.options ?? [])
  if (!isBind(entry, plan) || (plan.flags & ms.MS_REMOUNT) !== 0) return undefined
  const foreign = foreignSource(entry.source ?? '')
  if (foreign !== undefined) return openForeignSource(foreign, (plan.flags & ms.MS_REC) !== 0)
  // A source in the root itself shows the mounts before this one, which only the child makes.
  if (entry.source?.startsWith(`${resolve(bundle, spec.root.path)}/`) === true) return undefined
  if (!mapsOwners(entry, plan)) {
    if (isOpenFile(entry.source ?? '')) return openSource(entry, plan)
    return hasNamespace(spec, 'user') ? trySource(entry, plan) : undefined
  }
  const copy = openSource(entry, plan)
  try {
    mapOwnersOf(copy, entry, spec, maps)
    return copy
  } catch (error) {
    closeSync(copy)
    throw error
  }
}
