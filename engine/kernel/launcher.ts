/** The program that starts the runtime's command line, as a file's bytes: elf(5) around the code of a listing. */

import options from './forking-node.json' with { type: 'json' }
import { codeOf, executableFile, isInitMachine } from './init-program.ts'
import { launcherListings } from './launcher.table.ts'

export type Launch = {
  /** Absolute path of the program to execute: Node. */
  program: string
  /** Come first, argument 0 included. */
  first: readonly string[]
}

/**
 * How Node is started for a program that forks: as few threads as it can do with. The first option keeps V8 from waiting
 * for them (docs/decisions/0001), two keep kinds of them from being made; the last lets a short life end before its first
 * garbage is collected. Code that V8 keeps fits only the same options.
 */
export const forkingNode: readonly string[] = ['node', ...options]

const headerSize = 16

/** As launcher.table.ts describes it. */
function launchData({ program, first }: Launch): Buffer {
  const words = `drydock-runtime: ${program} cannot be executed\n`
  const texts = [program, words, ...first].map((text) => Buffer.from(`${text}\0`))
  const header = Buffer.alloc(headerSize + first.length * 4)
  const places: number[] = []
  let at = header.length
  for (const text of texts) {
    places.push(at)
    at += text.length
  }
  const [programAt = 0, wordsAt = 0, ...firstAt] = places
  for (const [index, value] of [programAt, wordsAt, Buffer.byteLength(words), first.length, ...firstAt].entries())
    header.writeUInt32LE(value, index * 4)
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
 *
 * @param machine as process.arch names it
 */
export function launcherProgram(machine: string, launch: Launch): Buffer | undefined {
  if (!isInitMachine(machine)) return undefined
  return executableFile(machine, Buffer.concat([codeOf(launcherListings[machine]), launchData(launch)]))
}
