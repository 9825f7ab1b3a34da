/** `features`: what this runtime can do; runtime-spec features.md and features-linux.md. */
import { writeSync } from 'node:fs'
import { engineVersion } from '../../base/engine-version.ts'
import { capabilityNumbers } from '../../kernel/capabilities.table.ts'
import { namespaceKinds } from '../../kernel/namespaces.ffi.ts'
import { knownArchitectures } from '../../kernel/seccomp-abis.ts'
import { knownFlags } from '../../kernel/seccomp-program.ts'
import { comparisons, knownActions } from '../../kernel/seccomp-rules.ts'
import { knownMountOptions } from '../mount-options.table.ts'
import { specVersion } from './version.ts'

const hooks = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop']

export function featuresVerb(): number {
  const features = {
    ociVersionMin: '1.0.0',
    ociVersionMax: specVersion,
    hooks,
    mountOptions: [...knownMountOptions].toSorted(),
    linux: {
      namespaces: namespaceKinds.map(({ type }) => type).toSorted(),
      capabilities: Object.keys(capabilityNumbers),
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: {
        enabled: true,
        actions: [...knownActions].toSorted(),
        operators: [...comparisons].toSorted(),
        archs: [...knownArchitectures].toSorted(),
        knownFlags: [...knownFlags],
        supportedFlags: [...knownFlags],
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      netDevices: { enabled: true },
      mountExtensions: { idmap: { enabled: true } },
    },
    annotations: {
      'org.opencontainers.runc.checkpoint.enabled': 'false',
      'org.opencontainers.runc.version': engineVersion,
    },
    potentiallyUnsafeConfigAnnotations: [],
  }
  writeSync(1, `${JSON.stringify(features, null, 4)}\n`)
  return 0
}
