/** One thing done to several names, and the question before many things go. */
import { createInterface } from 'node:readline/promises'

export const silent = Symbol('nothing to be told')

/**
 * Each name is printed when it is done, unless that answers `silent`; a failure does not stop the others, but the exit
 * code is 1.
 */
export async function forEach(names: readonly string[], act: (name: string) => Promise<unknown>): Promise<void> {
  for (const name of names) {
    try {
      if ((await act(name)) !== silent) process.stdout.write(`${name}\n`)
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`)
      process.exitCode = 1
    }
  }
}

/** Docker's own question; no answer is a no. */
export async function confirmed(warning: string, force: boolean | undefined): Promise<boolean> {
  if (force === true) return true
  const lines = createInterface({ input: process.stdin })
  process.stdout.write(`${warning}\nAre you sure you want to continue? [y/N] `)
  try {
    const { value } = await lines[Symbol.asyncIterator]().next()
    return /^y(es)?$/i.test(String(value ?? '').trim())
  } finally {
    lines.close()
    process.stdin.pause()
  }
}
