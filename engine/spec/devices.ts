/** Device nodes and the rules on using them: OCI config-linux.md "Devices" and "Device allowlist". */
import { EngineError } from '../base/errors.ts'
import { linuxStep, type SpecStep } from './build.ts'
import type { OciDevice, OciDeviceRule } from './oci.ts'

/** Letters of `rwm`, each once; empty is all three. */
export function devicePermissions(given: string): string {
  const letters = given === '' ? 'rwm' : given
  if (!/^[rwm]{1,3}$/.test(letters) || new Set(letters).size !== letters.length)
    throw new EngineError('invalid', `invalid device permissions ${JSON.stringify(given)}: use letters of "rwm"`)
  return letters
}

/** Later rules win over earlier ones. */
export const withDeviceRules = (rules: readonly OciDeviceRule[]): SpecStep =>
  linuxStep((linux) => ({
    ...linux,
    resources: { ...linux.resources, devices: [...(linux.resources?.devices ?? []), ...rules] },
  }))

const ruleOf = (device: OciDevice, access: string): OciDeviceRule => ({
  allow: true,
  type: device.type === 'b' ? 'b' : 'c',
  ...(device.major === undefined ? {} : { major: device.major }),
  ...(device.minor === undefined ? {} : { minor: device.minor }),
  access,
})

/** A device of the host: its node (stat by the caller) and the right to use it. */
export const withDevice = (device: OciDevice, permissions: string): SpecStep => {
  const rule = ruleOf(device, devicePermissions(permissions))
  return (spec) =>
    withDeviceRules([rule])(linuxStep((linux) => ({ ...linux, devices: [...(linux.devices ?? []), device] }))(spec))
}

const ruleText = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/

/** `c 42:* rmw`, as DeviceCgroupRules has them. */
export function parseDeviceRule(text: string): OciDeviceRule {
  const [, type, major, minor, access] = ruleText.exec(text) ?? []
  if (type === undefined || access === undefined)
    throw new EngineError('invalid', `invalid device cgroup rule format: '${text}'`)
  const number = (value: string | undefined): number | undefined => (value === '*' ? undefined : Number(value))
  const [first, second] = [number(major), number(minor)]
  return {
    allow: true,
    type: type as 'a' | 'c' | 'b',
    ...(first === undefined ? {} : { major: first }),
    ...(second === undefined ? {} : { minor: second }),
    access,
  }
}
