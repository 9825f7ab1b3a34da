/**
 * The image that an installed runtime begins from (docs/decisions/0017): made when it is installed, and by the daemon
 * after a boot, since the kernel's own pages are part of it. It lies beside the program, where only root can write. Without
 * one the runtime's every start takes longer, and nothing else is different.
 */
import { execFile } from 'node:child_process'
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import { messageOf } from '../base/errors.ts'
import { imageWords } from '../kernel/launcher.ts'
import { bootName, identityOf } from '../kernel/process-image.ffi.ts'
import { hasImages, headSize, imageTells } from '../kernel/process-image.ts'
import { assertRootOwned, imageName } from './setup-place.ts'

/** Far longer than it takes. */
const timeout = 30_000

/** Whether a launcher would begin from it: of this boot, and of files that are what they were. */
export function imageFits(path: string): boolean {
  const head = Buffer.alloc(Number(headSize))
  try {
    const fd = openSync(path, 'r')
    try {
      readSync(fd, head)
    } finally {
      closeSync(fd)
    }
    const { boot, files } = imageTells(head)
    return boot === bootName() && files.every((file) => isDeepStrictEqual(identityOf(file.path), file))
  } catch {
    return false
  }
}

/**
 * Makes the image of an installed runtime where there is none that fits; of an engine that nobody has installed there is
 * none. Answers why there is none now, if so.
 *
 * @param directory the version's own, not the link to it
 */
export async function renewRuntimeImage(directory: string): Promise<string | undefined> {
  const image = join(directory, imageName)
  if (!hasImages(process.arch) || !existsSync(join(directory, 'bin', 'drydock-runtime')) || imageFits(image))
    return undefined
  try {
    assertRootOwned(directory)
    const words = imageWords(join(directory, 'runtime.cjs'), image)
    await promisify(execFile)(join(directory, 'bin', 'node'), words, {
      env: {},
      cwd: '/',
      timeout,
      killSignal: 'SIGKILL',
    })
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** The program's own last words, where it had any. */
const reasonOf = (error: unknown): string => {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  return said === '' ? messageOf(error) : said
}
