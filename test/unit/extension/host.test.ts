import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeProgram, onPath } from '../../../extension/engine-life/host.ts'

test('the Node beside the engine comes first, where it can be executed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-host-'))
  try {
    assert.equal(nodeProgram(directory), process.execPath)
    const packaged = join(directory, 'bin', 'node')
    mkdirSync(join(directory, 'bin'))
    writeFileSync(packaged, '', { mode: 0o644 })
    assert.equal(nodeProgram(directory), process.execPath)
    rmSync(packaged)
    writeFileSync(packaged, '', { mode: 0o755 })
    assert.equal(nodeProgram(directory), packaged)
    assert.equal(onPath('node', `relative:${join(directory, 'none')}:${join(directory, 'bin')}`), packaged)
    assert.equal(onPath('node', 'bin'), undefined)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
