/**
 * The image that an installed runtime begins from (docs/decisions/0017): made when it is installed, and by the daemon
 * after a boot, since the kernel's own pages are part of it. It lies beside the program, where only root can write. Without
 * one the runtime's every start takes longer, and nothing else is different.
 */
import { execFile, execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '../base/errors.ts'
import { keptNode } from '../kernel/launcher.ts'
import { hasImages, headSize, imageTells } from '../kernel/process-image.ts'
import { assertRootOwned, imageName } from './setup-place.ts'

/** Far longer than it takes. */
const timeout = 30_000

const commandOf = (directory: string): [string, string[]] => [
  join(directory, 'bin', 'node'),
  [...keptNode, join(directory, 'runtime.cjs'), '--image', join(directory, imageName)],
]
const options = { env: {}, cwd: '/', timeout, killSignal: 'SIGKILL', encoding: 'utf8' } as const

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
    if (boot !== readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()) return false
    return files.every((file) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file.path, { bigint: true })
      const now: typeof file = { path: file.path, dev, ino, size, mtimeNs, ctimeNs }
      return (Object.keys(now) as (keyof typeof file)[]).every((key) => now[key] === file[key])
    })
  } catch {
    return false
  }
}

/**
 * Makes the image of an installed runtime where there is none that fits. Answers why there is none now, if so.
 *
 * @param directory the version's own, not the link to it
 */
export function makeRuntimeImage(directory: string): string | undefined {
  if (!hasImages(process.arch) || imageFits(join(directory, imageName))) return undefined
  const [program, words] = commandOf(directory)
  try {
    execFileSync(program, words, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** As `makeRuntimeImage`, in the background, for a daemon that may be one that nobody has installed. */
export async function renewRuntimeImage(directory: string): Promise<string | undefined> {
  if (
    !hasImages(process.arch) ||
    !existsSync(join(directory, 'bin', 'drydock-runtime')) ||
    imageFits(join(directory, imageName))
  )
    return undefined
  const [program, words] = commandOf(directory)
  try {
    assertRootOwned(directory)
    await promisify(execFile)(program, words, options)
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
