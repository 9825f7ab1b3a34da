/** Device rules for cgroup v1's devices controller, which keeps one default and a list of exceptions from it. Pure. */
import { EngineError } from '../base/errors.ts'
import type { OciDeviceRule } from '../spec/oci.ts'
import { isForAll } from './device-rules.ts'

export type DeviceWrite = readonly [file: 'devices.allow' | 'devices.deny', text: string]

const within = (outer: number | undefined, inner: number | undefined): boolean => outer === undefined || outer === inner
const meet = (one: number | undefined, other: number | undefined): boolean =>
  one === undefined || other === undefined || one === other

/** Whether `outer` says something on every device and access that `inner` is about. */
const covers = (outer: OciDeviceRule, inner: OciDeviceRule): boolean =>
  outer.type === inner.type &&
  within(outer.major, inner.major) &&
  within(outer.minor, inner.minor) &&
  [...(inner.access ?? 'rwm')].every((letter) => (outer.access ?? 'rwm').includes(letter))

const overlaps = (one: OciDeviceRule, other: OciDeviceRule): boolean =>
  one.type === other.type &&
  meet(one.major, other.major) &&
  meet(one.minor, other.minor) &&
  [...(one.access ?? 'rwm')].some((letter) => (other.access ?? 'rwm').includes(letter))

const text = (rule: OciDeviceRule): string =>
  `${rule.type} ${rule.major ?? '*'}:${rule.minor ?? '*'} ${rule.access ?? 'rwm'}`

/**
 * The writes that make the rules hold, the later rule winning: the default, and the exceptions, all into the other file. A
 * rule with an exception inside ("all of major 10, but not 10:229") cannot be said to v1: then this throws rather than leave
 * the device open or shut.
 */
export function deviceWritesV1(rules: readonly OciDeviceRule[]): [DeviceWrite, ...DeviceWrite[]] {
  // Nothing said is everything denied: config-linux.md "Device allowlist" leaves it to the runtime.
  let allowed = false
  let exceptions: OciDeviceRule[] = []
  for (const rule of rules) {
    if (isForAll(rule)) {
      if ((rule.access ?? 'rwm').length < 3)
        throw new EngineError(
          'invalid',
          `device rule for all devices with ${rule.access} only: cgroup v1 has no such rule`,
        )
      allowed = rule.allow
      exceptions = []
      continue
    }
    if (rule.type === undefined || rule.type === 'a')
      throw new EngineError('invalid', 'a device rule with a number needs the type b or c')
    // The rule replaces exceptions inside of it. One that sticks out would keep a part that the rule takes back.
    exceptions = exceptions.filter((exception) => !covers(rule, exception))
    if (rule.allow !== allowed) exceptions.push(rule)
    else if (exceptions.some((exception) => overlaps(exception, rule)))
      throw new EngineError(
        'invalid',
        `device rule "${text(rule)}" takes a part out of an earlier one: cgroup v1 cannot`,
      )
  }
  return [
    [allowed ? 'devices.allow' : 'devices.deny', 'a'],
    ...exceptions.map((rule): DeviceWrite => [allowed ? 'devices.deny' : 'devices.allow', text(rule)]),
  ]
}
