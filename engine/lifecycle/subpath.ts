/** A path inside a volume that a container may have filled with links; wire fact 163. */
import { closeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { openAt, openDirectory, openFlags, resolveFlags } from '../kernel/paths.ffi.ts'

/**
 * A descriptor (O_PATH, close-on-exec) of an existing file or directory below `root`. Not its path: who else has the volume may make a
 * link of it at any time, up to the mount. invalid where it leads out.
 */
export function openSubpath(root: string, path: string): number {
  if (path.startsWith('/'))
    throw new EngineError('invalid', `invalid mount config: subpath ${JSON.stringify(path)} must be relative`)
  const directory = openDirectory(root)
  try {
    return openAt(directory, path, {
      flags: openFlags.O_PATH,
      resolve: resolveFlags.RESOLVE_BENEATH | resolveFlags.RESOLVE_NO_MAGICLINKS,
    })
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EXDEV', 'ELOOP'))
      throw new EngineError(
        'invalid',
        `cannot access path ${JSON.stringify(`${root}/${path}`)}: no such file or directory`,
        {
          cause: error,
        },
      )
    throw error
  } finally {
    closeSync(directory)
  }
}
