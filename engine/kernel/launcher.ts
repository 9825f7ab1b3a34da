/** The program that starts the runtime's command line, as a file's bytes: elf(5) around the code of a listing. */

import options from './forking-node.json' with { type: 'json' }
import { codeOf, executableFile, isInitMachine } from './init-program.ts'
import { launcherListings } from './launcher.table.ts'

export type Launch = {
  /** Absolute path of the program to execute: Node. */
  program: string
  /** Come first, argument 0 included. */
  first: readonly string[]
  /** Absolute path of an image to begin from (process-image.ffi.ts) where it fits; it need not be there. */
  image?: string
}

/**
 * What a Node is called with that is to be kept as an image: code is compiled before it is kept, and what would be done
 * about code that runs for long never pays. Young space is small: each 256 KiB of it lie somewhere else, with page tables
 * of their own, and go over to every process that begins with it.
 *
 * @param script runtime.cjs
 * @param image the file that is made
 */
export const imageWords = (script: string, image: string): string[] => [
  ...options,
  '--min-semi-space-size=2',
  '--no-lazy',
  '--no-flush-bytecode',
  '--no-opt',
  '--no-maglev',
  script,
  '--image',
  image,
]

/** Below where Node lies, above the head of an image: while a process is put together all three are there. */
const launcherAddress = 0x200000n

/**
 * How Node is started for a program that forks: as few threads as it can do with. The first option keeps V8 from waiting
 * for them (docs/decisions/0001), two keep kinds of them from being made; the last lets a short life end before its first
 * garbage is collected. Code that V8 keeps fits only the same options.
 */
export const forkingNode: readonly string[] = ['node', ...options]

const headerSize = 20

/** As launcher.table.ts describes it. */
function launchData({ program, first, image }: Launch): Buffer {
  const words = `drydock-runtime: ${program} cannot be executed\n`
  const texts = [program, words, ...first, ...(image === undefined ? [] : [image])].map((text) =>
    Buffer.from(`${text}\0`),
  )
  const header = Buffer.alloc(headerSize + first.length * 4)
  const places: number[] = []
  let at = header.length
  for (const text of texts) {
    places.push(at)
    at += text.length
  }
  const imageAt = image === undefined ? 0 : places.pop()!
  const [programAt = 0, wordsAt = 0, ...firstAt] = places
  const values = [programAt, wordsAt, Buffer.byteLength(words), first.length, imageAt, ...firstAt]
  for (const [index, value] of values.entries()) header.writeUInt32LE(value, index * 4)
  return Buffer.concat([header, ...texts])
}

/**
 * An executable file, static, for one command line; undefined for a machine that there is no code for.
 *
 * Called as `NAME arguments…` it executes `program` with `first`, NAME, a number and the arguments. The number says how many
 * descriptors from 3 on are the caller's: later nobody can tell them from the program's own. What it takes care of:
 * - The program is executed from a read-only mount of its own, so that a container that gets at it through
 *   /proc/self/exe cannot overwrite it (CVE-2019-5736). An ordinary user, who may not mount, cannot write root's file anyway.
 * - What is set for other programs of Node (NODE_OPTIONS and the like) is not for this one.
 * - Where `image` is a process that was kept under this very boot of the machine, of these very files, the program is
 *   not executed: its memory is put in place, and goes on (docs/decisions/0017). Whatever does not fit, be it that
 *   the caller has not the right, only means that the program is executed.
 *
 * @param machine as process.arch names it
 */
export function launcherProgram(machine: string, launch: Launch): Buffer | undefined {
  if (!isInitMachine(machine)) return undefined
  const code = Buffer.concat([codeOf(launcherListings[machine]), launchData(launch)])
  return executableFile(machine, code, launcherAddress)
}
