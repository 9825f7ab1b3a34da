/** What this runtime cannot do is refused by its field, before anything is touched; never ignored. Pure. */
import { EngineError } from '../base/errors.ts'
import type { OciNamespaceType, OciSpec } from '../spec/oci.ts'
import { createdKinds, hasNamespace } from './namespaces.ts'

type Rule = readonly [field: string, broken: (spec: OciSpec) => boolean, why: string]

const rules: readonly Rule[] = [
  ['ociVersion', ({ ociVersion }) => !/^1\.\d+\.\d+/.test(ociVersion), 'only version 1 is known'],
  ['process', (spec) => spec.process === undefined, 'is needed to create a container'],
  [
    'process.args',
    (spec) => spec.process?.args === undefined || spec.process.args.length === 0,
    'no command specified',
  ],
  ['process.cwd', (spec) => spec.process?.cwd.startsWith('/') !== true, 'must be an absolute path'],
  ['root.path', (spec) => spec.root.path === '', 'must not be empty'],
  [
    'linux.timeOffsets',
    (spec) => spec.linux?.timeOffsets !== undefined && !makes(spec, 'time'),
    "need a time namespace of the container's own",
  ],
  [
    'hostname',
    (spec) => (spec.hostname ?? '') !== '' && !hasNamespace(spec, 'uts'),
    'needs a UTS namespace of its own',
  ],
  [
    'domainname',
    (spec) => (spec.domainname ?? '') !== '' && !hasNamespace(spec, 'uts'),
    'needs a UTS namespace of its own',
  ],
  [
    'linux.seccomp.listenerPath',
    (spec) => (spec.linux?.seccomp?.listenerPath ?? '') === '' && asksListener(spec),
    'is needed for SCMP_ACT_NOTIFY',
  ],
  [
    'linux.seccomp.listenerMetadata',
    ({ linux }) => (linux?.seccomp?.listenerPath ?? '') === '' && (linux?.seccomp?.listenerMetadata ?? '') !== '',
    'must not be set without listenerPath',
  ],
  ['linux.mountLabel', (spec) => (spec.linux?.mountLabel ?? '') !== '', 'needs SELinux, which is not supported'],
  [
    'linux.namespaces',
    (spec) => hasTwins((spec.linux?.namespaces ?? []).map(({ type }) => type)),
    'name one type twice',
  ],
  [
    'linux.uidMappings',
    (spec) => makes(spec, 'user') && (spec.linux?.uidMappings ?? []).length === 0,
    'are needed for a user namespace',
  ],
  [
    'mounts',
    (spec) => (spec.mounts ?? []).some(({ destination }) => !destination.startsWith('/')),
    'need an absolute destination',
  ],
]

const asksListener = (spec: OciSpec): boolean =>
  spec.linux?.seccomp?.syscalls?.some(({ action }) => action === 'SCMP_ACT_NOTIFY') === true

const hasTwins = (values: readonly string[]): boolean => new Set(values).size !== values.length

const makes = (spec: OciSpec, type: OciNamespaceType): boolean => createdKinds(spec).has(type)

export function validate(spec: OciSpec): void {
  for (const [field, broken, why] of rules) if (broken(spec)) throw new EngineError('invalid', `${field} ${why}`)
}
