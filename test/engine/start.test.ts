/** `npm start -- --once`: the built engine, a first container with the current folder in it, and nothing left. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noEngine } from './engine.ts'

const script = resolve(import.meta.dirname, '..', '..', '.ci', 'start.mjs')

test('the first container shows the folder and what each layer did', {
  skip: noEngine || noPacketFilter,
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync('/var/tmp/drydock-start-')
  try {
    writeFileSync(join(folder, 'a-file-of-this-folder'), '')
    const env = { ...process.env, INIT_CWD: folder }
    const child = spawn(process.execPath, [script, '--once'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    assert.equal(child.exitCode, 0, error)
    assert.match(out, /^a-file-of-this-folder$/m)
    for (const layer of ['command', 'api', 'lifecycle', 'network', 'shim', 'runtime', 'kernel'])
      assert.match(out, new RegExp(`^ {2}${layer} .*\\d ms`, 'm'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a word that start does not know is refused', async () => {
  const child = spawn(process.execPath, [script, '--sometimes'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [error] = await Promise.all([text(child.stderr), once(child, 'close')])
  assert.equal(child.exitCode, 1)
  assert.match(error, /--sometimes/)
})
