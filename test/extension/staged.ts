/** A copy of the built extension for a test, with or without its engine. */
import { cpSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..', '..')

const withoutEngine = ['package.json', 'dist/extension', 'dist/webview', 'extension/media']

function copied(directory: string, names: readonly string[]): string {
  const copy = join(directory, 'extension')
  for (const name of names) cpSync(join(root, name), join(copy, name), { recursive: true })
  return copy
}

/** Without its engine nothing can be installed on this machine, also when the test runs as root. */
export const extensionWithoutEngine = (directory: string): string => copied(directory, withoutEngine)

/** Where somebody else can read it, too. */
export const wholeExtension = (directory: string): string => copied(directory, [...withoutEngine, 'dist/engine'])
