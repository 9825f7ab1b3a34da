/** Names and driver options of volumes, checked; wire facts 64 and 162. Pure. */
import { EngineError } from '../base/errors.ts'

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

declare const checked: unique symbol
/** One path component that cannot be `.`, `..` or hidden. */
export type VolumeName = string & { readonly [checked]: true }

export function volumeName(untrusted: string): VolumeName {
  if (!pattern.test(untrusted) || untrusted.length > 255)
    throw new EngineError(
      'invalid',
      `create ${untrusted}: ${JSON.stringify(untrusted)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
  return untrusted as VolumeName
}

const names = new Set(['type', 'device', 'o', 'size'])

/** What a mount of the volume will need; the mount itself is made in the container. */
export function checkVolumeOptions(options: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(options))
    if (!names.has(name)) throw new EngineError('invalid', `create volume: invalid option: ${JSON.stringify(name)}`)
  const { type, device } = options
  if (type !== undefined && type !== 'tmpfs' && !device)
    throw new EngineError('invalid', 'create volume: missing device in volume options')
  if (options.o?.split(',').includes('bind') === true && !device?.startsWith('/'))
    throw new EngineError('invalid', 'create volume: a bind needs an absolute path as its device')
}
