#!/usr/bin/env node
/** `drydock` in a source checkout: the command line, built when it has not been. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensurePackages, fail, findNode, root, run, underNode } from './toolchain.mjs'

try {
  const main = join(root, 'dist', 'engine', 'main.js')
  if (!existsSync(main)) {
    await ensurePackages()
    await underNode('22.15', fileURLToPath(import.meta.url))
    const { build } = await import('./build.mjs')
    await build()
  }
  const node = findNode('22.15')
  if (node === undefined) await underNode('22.15', main)
  else process.exit(await run(node, [main, ...process.argv.slice(2)], { cwd: process.cwd() }))
} catch (error) {
  fail(error)
}
