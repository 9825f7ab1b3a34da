/**
 * The extension's own API, from inside an extension host, through @vscode/test-electron: in a desktop VS Code where
 * DRYDOCK_VSCODE names one, else in the browser's.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { runTests } from '@vscode/test-electron'
import { build } from 'esbuild'
import { noBed } from './bed.ts'
import { extensionWithoutEngine } from './staged.ts'

const here = import.meta.dirname

/** @vscode/test-electron wants one executable file; ours is a source that Node has to run. */
function browserCode(directory: string): string {
  const file = join(directory, 'code')
  writeFileSync(file, `#!/bin/sh\nexec "${process.execPath}" "${join(here, 'browser-code.ts')}" "$@"\n`)
  chmodSync(file, 0o755)
  return file
}

test('the extension inside its host', { skip: noBed(), timeout: 180_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-in-host-'))
  try {
    const suite = join(directory, 'suite.mjs')
    const entryPoints = [resolve(here, 'in-host', 'suite.ts')]
    await build({ entryPoints, outfile: suite, bundle: true, platform: 'node', format: 'esm', external: ['vscode'] })
    const folder = join(directory, 'folder')
    mkdirSync(folder)
    const output = new PassThrough()
    const said = text(output)
    const settings = { 'drydock.socket': join(directory, 'no.sock') }
    try {
      await runTests({
        vscodeExecutablePath: process.env.DRYDOCK_VSCODE ?? browserCode(directory),
        extensionDevelopmentPath: extensionWithoutEngine(directory),
        extensionTestsPath: suite,
        launchArgs: [folder],
        extensionTestsEnv: { DRYDOCK_TEST_SETTINGS: JSON.stringify(settings) },
        stdout: output,
        stderr: output,
      })
    } catch (error) {
      output.end()
      assert.fail(`${error}\n${await said}`)
    }
    output.end()
    assert.match(await said, /in-host cases: \d+, failed: 0/)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
