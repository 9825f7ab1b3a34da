/** Device rules of a container: what its config says, and the devices that every container has. Pure. */
import { defaultDeviceRules } from '../spec/defaults.table.ts'
import type { OciDeviceRule } from '../spec/oci.ts'

const anyNumber = (number: number | undefined): number | undefined =>
  number === undefined || number < 0 ? undefined : number

/** Numbers of -1 and empty words are how some write what is absent. */
export function plainRule({ allow, type, major, minor, access }: OciDeviceRule): OciDeviceRule {
  const rule: OciDeviceRule = { allow }
  if (type !== undefined && type !== ('' as string)) rule.type = type
  if (anyNumber(major) !== undefined) rule.major = major!
  if (anyNumber(minor) !== undefined) rule.minor = minor!
  if (access !== undefined && access !== '') rule.access = access
  return rule
}

export const isForAll = ({ type, major, minor }: OciDeviceRule): boolean =>
  (type === undefined || type === 'a') && major === undefined && minor === undefined

const same = (one: OciDeviceRule, other: OciDeviceRule): boolean =>
  one.allow === other.allow &&
  one.type === other.type &&
  one.major === other.major &&
  one.minor === other.minor &&
  (one.access ?? 'rwm') === (other.access ?? 'rwm')

/**
 * Everything is denied that no rule allows; the default devices, which a container must have (config-linux.md "Default
 * Devices"), are allowed in the end. Where the rules allow everything but some, nothing is added.
 */
export function containerDeviceRules(asked: readonly OciDeviceRule[] | undefined): OciDeviceRule[] {
  const rules = [{ allow: false }, ...(asked ?? []).map(plainRule)]
  if (rules.findLast(isForAll)!.allow) return rules
  const added = defaultDeviceRules.filter((rule) => !isForAll(rule) && !rules.some((known) => same(known, rule)))
  return [...rules, ...added]
}
