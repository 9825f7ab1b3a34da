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

/** Whether it shows a directory of the machine, as `mount --bind` would. */
export const isBindVolume = ({ type, o }: Readonly<Record<string, string>>): boolean =>
  type === 'bind' || (o ?? '').split(',').some((word) => word === 'bind' || word === 'rbind')

/** What a mount of the volume will need; the mount itself is made in the container. Nothing is passed over. */
export function checkVolumeOptions(options: Readonly<Record<string, string>>): void {
  const refuse = (why: string): never => {
    throw new EngineError('invalid', `create volume: ${why}`)
  }
  for (const name of Object.keys(options)) if (!names.has(name)) refuse(`invalid option: ${JSON.stringify(name)}`)
  const { type, device, o, size } = options
  const binds = isBindVolume(options)
  if (binds && !device?.startsWith('/')) refuse('a bind needs an absolute path as its device')
  if (type !== undefined && type !== 'tmpfs' && !device) refuse('missing required option: "device"')
  if (type === undefined && (device !== undefined || o !== undefined) && !binds)
    refuse('missing required option: "type"')
  if (size !== undefined && type !== 'tmpfs')
    refuse('a size is kept only with type=tmpfs: directories of this engine have no quota')
}
