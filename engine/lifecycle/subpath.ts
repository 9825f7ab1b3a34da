/** A path inside a volume that a container may have filled with links; wire fact 163. */
import { closeSync, readlinkSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { openAt, openDirectory, openFlags, resolveFlags } from '../kernel/paths.ffi.ts'

/** The absolute path without links of an existing file or directory below `root`. invalid where it leads out. */
export function resolveSubpath(root: string, path: string): string {
  if (path.startsWith('/'))
    throw new EngineError('invalid', `invalid mount config: subpath ${JSON.stringify(path)} must be relative`)
  const directory = openDirectory(root)
  try {
    const found = openAt(directory, path, {
      flags: openFlags.O_PATH,
      resolve: resolveFlags.RESOLVE_BENEATH | resolveFlags.RESOLVE_NO_MAGICLINKS,
    })
    try {
      return readlinkSync(`/proc/self/fd/${found}`)
    } finally {
      closeSync(found)
    }
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
