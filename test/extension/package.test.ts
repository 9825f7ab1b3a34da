/** The .vsix as a user installs it: it activates, finds the engine, and has all inside that the engine needs. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageFor } from '../../.ci/package.mjs'
import { noEngine, TestEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'

const otherProcessor = process.arch !== 'x64' && 'the package under test is for x64'
const skip = noEngine || noBed() || otherProcessor

test('installed from its package, it works', { skip, timeout: 240_000 }, async () => {
  await using cleanup = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'drydock-vsix-'))
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  const folder = join(directory, 'folder')
  mkdirSync(folder)
  const extension = await packageFor('linux-x64', directory)
  const engine = cleanup.use(await TestEngine.start())
  const bed = cleanup.use(await Bed.open({ folder, extension, settings: { 'drydock.socket': engine.socket } }))
  await bed.openView('Drydock')
  await bed.page.getByRole('button', { name: /Drydock: engine running/ }).waitFor()

  const installed = join(bed.directory, 'extensions')
  const name = readdirSync(installed).find((entry) => entry.startsWith('drydock.drydock-')) ?? ''
  const shipped = join(installed, name, 'dist', 'engine')
  const { status, stdout, stderr } = spawnSync(join(shipped, 'bin', 'node'), [join(shipped, 'main.js'), '--version'], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^\d+\.\d+\.\d+/)
})
