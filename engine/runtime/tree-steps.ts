/**
 * The steps that make a container's tree and enter it, from inside of its namespaces: for its first process itself
 * (init.ts), or for its maker, who goes there meanwhile (init-row.ts).
 */
import { setFileCreationMask } from '../kernel/identity.ffi.ts'
import { setDomainname, setHostname } from '../kernel/namespaces.ffi.ts'
import type { OciNamespaceType } from '../spec/oci.ts'
import { maskPaths, protectPaths } from './hardening.ts'
import type { Step } from './process-steps.ts'
import type { CreateRequest } from './request.ts'
import { enterRoot, makeRoot } from './rootfs.ts'
import { applySysctls } from './sysctl.ts'

export type TreeContext = {
  request: CreateRequest
  /** Kinds that are new. */
  created: ReadonlySet<OciNamespaceType>
  /** As in CreateRequest, for whoever takes the steps. */
  mapOwners: (index: number, tree: number) => void
  root?: number
}

type TreeStep = Step<TreeContext>

/** Also those of a namespace that was joined. */
export const setNames: TreeStep = [
  'set names',
  ({ request: { spec } }) => {
    const { hostname = '', domainname = '' } = spec
    if (hostname !== '') setHostname(hostname)
    if (domainname !== '') setDomainname(domainname)
  },
]

export const makeTree: TreeStep = [
  'make root',
  (context) => {
    const { request, mapOwners, created } = context
    // What is made for the container has the modes that are asked for.
    const mask = setFileCreationMask(0)
    try {
      context.root = makeRoot({ ...request, mapOwners }, created)
    } finally {
      setFileCreationMask(mask)
    }
  },
]

export const enterTree: TreeStep = ['enter root', ({ request, root }) => enterRoot(request, root!)]

export const protectTree: readonly TreeStep[] = [
  ['set sysctls', ({ request }) => applySysctls(request.spec.linux?.sysctl ?? {})],
  ['make paths read-only', ({ request }) => protectPaths(request.spec.linux?.readonlyPaths ?? [])],
  ['mask paths', ({ request }) => maskPaths(request.spec.linux?.maskedPaths ?? [])],
]
