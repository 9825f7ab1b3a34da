/** Which capabilities a container has: the default ones, less CapDrop, plus CapAdd. */
import { EngineError } from '../base/errors.ts'
import { processStep, type SpecStep } from './build.ts'
import { allCapabilities, type Capability, defaultCapabilities } from './capabilities.table.ts'

const known: ReadonlySet<string> = new Set(allCapabilities)

/** `chown`, `CHOWN` and `CAP_CHOWN` are one; `ALL` stays `ALL`. An unknown name is invalid, naming the list it is in. */
export function normalizeCapabilities(names: readonly string[], list: 'CapAdd' | 'CapDrop'): (Capability | 'ALL')[] {
  return names.map((given) => {
    const upper = given.trim().toUpperCase()
    if (upper === 'ALL' || upper === 'CAP_ALL') return 'ALL'
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
    if (!known.has(name))
      throw new EngineError('invalid', `invalid ${list}: unknown capability: ${JSON.stringify(name)}`)
    return name as Capability
  })
}

export type CapabilityRequest = {
  add?: readonly string[]
  drop?: readonly string[]
  privileged?: boolean
}

/**
 * In the kernel's order. As dockerd decides: a name in both lists is had; `ALL` added gives all but the dropped ones,
 * `ALL` dropped leaves the added ones.
 */
export function resolveCapabilities(request: CapabilityRequest): Capability[] {
  const add = normalizeCapabilities(request.add ?? [], 'CapAdd')
  const drop = normalizeCapabilities(request.drop ?? [], 'CapDrop')
  if (request.privileged === true) return [...allCapabilities]
  const has = (name: Capability): boolean => {
    if (add.includes('ALL')) return !drop.includes(name)
    if (add.includes(name)) return true
    return defaultCapabilities.includes(name) && !drop.includes('ALL') && !drop.includes(name)
  }
  return allCapabilities.filter(has)
}

/** Bounding, permitted and effective; never inheritable or ambient, which would outlive a change of user. */
export const withCapabilities = (request: CapabilityRequest): SpecStep => {
  const names = resolveCapabilities(request)
  return processStep((process) => ({
    ...process,
    capabilities: { bounding: [...names], effective: [...names], permitted: [...names] },
  }))
}
