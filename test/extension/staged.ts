/** A copy of the built extension for a test, with or without its engine. */
import { cpSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..', '..')

/** Without its engine nothing can be installed on this machine, also when the test runs as root. */
export function extensionWithoutEngine(directory: string): string {
  const copy = join(directory, 'extension')
  for (const name of ['package.json', 'dist/extension', 'dist/webview', 'extension/media'])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  return copy
}
