/** Walls that are steps of their own: hidden paths, seccomp, and `--privileged`, which takes the walls down. */
import { linuxStep, type SpecStep, together } from './build.ts'
import { withCapabilities } from './capabilities.ts'
import type { OciDevice, OciSeccomp, OciSpec } from './oci.ts'

/** Replaces the lists; empty ones are `systempaths=unconfined`. */
export const withSystemPaths = (masked: readonly string[], readonly: readonly string[]): SpecStep =>
  linuxStep((linux) => ({ ...linux, maskedPaths: [...masked], readonlyPaths: [...readonly] }))

/** Hides more; for what differs between machines, such as each processor's thermal_throttle. */
export const withMaskedPaths = (more: readonly string[]): SpecStep =>
  linuxStep((linux) => ({ ...linux, maskedPaths: [...(linux.maskedPaths ?? []), ...more] }))

/** Its times differ between machines with the same load, so neighbours could be told apart by them. */
export const thermalThrottlePaths = (processors: number): string[] =>
  Array.from({ length: processors }, (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`)

export const withSeccomp = (seccomp: OciSeccomp): SpecStep => linuxStep((linux) => ({ ...linux, seccomp }))

export const withCgroupsPath = (cgroupsPath: string): SpecStep => linuxStep((linux) => ({ ...linux, cgroupsPath }))

function withWritableKernelMounts(spec: OciSpec): OciSpec {
  const mounts = (spec.mounts ?? []).map((mount) =>
    mount.type === 'sysfs' || mount.type === 'cgroup'
      ? { ...mount, options: (mount.options ?? []).filter((option) => option !== 'ro') }
      : mount,
  )
  return { ...spec, mounts }
}

function withoutSeccomp(spec: OciSpec): OciSpec {
  if (spec.linux?.seccomp === undefined) return spec
  const { seccomp: _, ...linux } = spec.linux
  return { ...spec, linux }
}

/** All capabilities, all devices (`devices`: the host's nodes), /sys and cgroups writable, nothing masked or filtered. */
export const withPrivileges = (devices: readonly OciDevice[]): SpecStep =>
  together(
    withCapabilities({ privileged: true }),
    withSystemPaths([], []),
    withWritableKernelMounts,
    withoutSeccomp,
    linuxStep((linux) => ({
      ...linux,
      devices: [...(linux.devices ?? []), ...devices],
      resources: { ...linux.resources, devices: [{ allow: true, access: 'rwm' }] },
    })),
  )
