/** The runtime's launcher: its code against an assembler, and what the program it executes finds. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { launcherListings } from '../../../engine/kernel/launcher.table.ts'
import { launcherProgram } from '../../../engine/kernel/launcher.ts'
import { testListings } from './assembler.ts'

const inDirectory = (work: (directory: string) => void): void => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-launcher-'))
  try {
    work(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

testListings(launcherListings)

const script = `console.log(JSON.stringify({
  words: process.argv.slice(1),
  variables: Object.keys(process.env).sort(),
}))`

test('the program gets its first words, its name, the number of descriptors, and the words that follow', () => {
  inDirectory((directory) => {
    const path = join(directory, 'launch')
    const first = ['node', '-e', script, '--']
    writeFileSync(path, launcherProgram(process.arch, { program: process.execPath, first })!, { mode: 0o755 })
    const env = { KEPT: '1', NODE_OPTIONS: '--no-such-option', NODES: '2' }
    const run = (input: string): { words: string[]; variables: string[] } =>
      JSON.parse(spawnSync('/bin/sh', ['-c', input, 'sh', path], { encoding: 'utf8', env }).stdout)
    const plain = run('exec "$1" one "two three" ""')
    assert.deepEqual(plain.words, [path, '0', 'one', 'two three', ''])
    assert.deepEqual(
      plain.variables.filter((name) => name !== 'PWD'),
      ['KEPT', 'NODES'],
    )
    assert.equal(run('exec 3</dev/null 4</dev/null 6</dev/null; exec "$1"').words[1], '2', 'up to the first gap')
  })
})

test('a program that is not there is named', () => {
  inDirectory((directory) => {
    const path = join(directory, 'launch')
    writeFileSync(path, launcherProgram(process.arch, { program: '/no/such/node', first: ['node'] })!, { mode: 0o755 })
    const { status, stderr } = spawnSync(path, { encoding: 'utf8' })
    assert.deepEqual([status, stderr], [1, 'drydock-runtime: /no/such/node cannot be executed\n'])
  })
})

test('no other machine has one', () => {
  assert.equal(launcherProgram('s390x', { program: '/bin/true', first: [] }), undefined)
})
