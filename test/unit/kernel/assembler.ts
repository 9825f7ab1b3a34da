/** GNU's assembler as the referee of machine code that stands in listings (engine/kernel/init-program.table.ts). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { InitMachine } from '../../../engine/kernel/init-program.table.ts'
import { codeOf } from '../../../engine/kernel/init-program.ts'

/** The programs that make and unpack objects. */
const tools = { x64: 'x86_64-linux-gnu-', arm64: 'aarch64-linux-gnu-' } as const

export const isMissing = (program: string): boolean => spawnSync(program, ['--version']).error !== undefined

/** What a listing's right side assembles to. */
function assembled(machine: InitMachine, listing: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-assembler-'))
  try {
    const source = listing
      .split('\n')
      .filter((line) => line.includes('|') || !line.startsWith('  '))
      .map((line) => (line.split('|').at(-1) ?? '').replace(/ # .*/, ''))
    const inside = (name: string): string => join(directory, name)
    writeFileSync(inside('text.s'), [machine === 'x64' ? '.intel_syntax noprefix' : '', ...source, ''].join('\n'))
    const as = spawnSync(`${tools[machine]}as`, ['-o', inside('object.o'), inside('text.s')], { encoding: 'utf8' })
    assert.equal(as.stderr, '')
    const words = ['-O', 'binary', '-j', '.text', inside('object.o'), inside('code')]
    assert.equal(spawnSync(`${tools[machine]}objcopy`, words).status, 0)
    return readFileSync(inside('code'))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A test for each machine; one skips where its assembler is not installed. */
export function testListings(listings: Readonly<Partial<Record<InitMachine, string>>>, what = 'the listing'): void {
  for (const [machine, listing] of Object.entries(listings) as [InitMachine, string][]) {
    const [as, objcopy] = [`${tools[machine]}as`, `${tools[machine]}objcopy`]
    const skip = (isMissing(as) || isMissing(objcopy)) && `${as} and ${objcopy} are not installed`
    test(`${machine}: the bytes of ${what} are what its instructions assemble to`, { skip }, () => {
      assert.deepEqual(codeOf(listing), assembled(machine, listing))
    })
  }
}
