/** Paths of the machine that a client asks to be mounted, reached with that client's own rights. */
import { closeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { type Credentials, openReadable } from '../kernel/file-rights.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { isBindVolume } from './volume-options.ts'

export const mayNot = (path: string, { uid }: Credentials, what: 'read' | 'make', cause: unknown): EngineError =>
  new EngineError(
    'forbidden',
    `cannot mount ${path}: user ${uid} may not ${what} it, and the engine mounts for clients only what is theirs to use (engine option --client-mounts)`,
    { cause },
  )

/** A descriptor of what the client may read there; forbidden where it may not. ENOENT and ENOTDIR are the caller's. */
export function openForClient(path: string, client: Credentials): number {
  try {
    return openReadable(client, path)
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM')) throw mayNot(path, client, 'read', error)
    throw error
  }
}

/** What a volume of theirs may show: memory, a server of the network, and by `bind` what they may read themselves. */
const harmless = new Set(['tmpfs', 'nfs', 'nfs4', 'cifs', 'smb3'])

/** Throws forbidden for options of a volume that would show the client more than it may see itself. */
export function checkVolumeAccess(options: Readonly<Record<string, string>>, client: Credentials): void {
  const { type, device = '' } = options
  if (isBindVolume(options)) {
    try {
      closeSync(openForClient(device, client))
    } catch (error) {
      // As in dockerd, the device is looked for when the volume is mounted.
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    }
  } else if (type !== undefined && !harmless.has(type))
    throw new EngineError(
      'forbidden',
      `create volume: a file system of type ${JSON.stringify(type)} is mounted for root only (engine option --client-mounts)`,
    )
}
