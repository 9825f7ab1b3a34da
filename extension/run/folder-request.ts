import { posix } from 'node:path'
import type { CreateContainerRequest } from '../../engine/api/contract/docker.ts'

export const folderLabel = 'drydock.folder'
export const debugLabel = 'drydock.debug'

/** Where a folder stands inside its container. Characters that a bind's text can't hold become dashes. */
export const folderInside = (folder: string): string =>
  `/workspaces/${posix.basename(folder).replace(/[^\w.@+-]+/g, '-') || 'folder'}`

/**
 * `SRC:DST:rw,idmap`: written inside by root, a file belongs outside to the user who owns the folder. Null where the
 * path holds a colon, which the text form of a bind has no way to write.
 */
export const bindOf = (folder: string): string | null =>
  folder.includes(':') ? null : `${folder}:${folderInside(folder)}:rw,idmap`

/** bash where it exists, else sh. */
export const shellCommand = ['/bin/sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi']

/** A container in which the folder can be worked in: the folder mounted, a terminal, nothing published. */
export function folderRequest(
  folder: string,
  image: string,
  options: { command?: readonly string[]; keep: boolean; labels?: Record<string, string> },
): CreateContainerRequest {
  const bind = bindOf(folder)
  if (bind === null) throw new Error(`The folder ${folder} can't be mounted, because its path has a colon.`)
  return {
    Image: image,
    Tty: true,
    OpenStdin: true,
    WorkingDir: folderInside(folder),
    Labels: { [folderLabel]: folder, ...options.labels },
    ...(options.command ? { Entrypoint: [], Cmd: [...options.command] } : {}),
    HostConfig: { Binds: [bind], AutoRemove: !options.keep },
  }
}
