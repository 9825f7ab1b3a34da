/** The device program against a plain reading of the rules, run by an interpreter of the instructions it uses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceProgram } from '../../../engine/kernel/device-program.ts'
import { defaultDeviceRules } from '../../../engine/spec/defaults.table.ts'
import type { OciDeviceRule } from '../../../engine/spec/oci.ts'

type Access = { type: 1 | 2; access: number; major: number; minor: number }

function run(program: Buffer, { type, access, major, minor }: Access): number {
  const context = [((access << 16) | type) >>> 0, major, minor]
  const registers = new Array<number>(11).fill(Number.NaN)
  for (let pc = 0; ; pc += 1) {
    assert.ok(pc >= 0 && pc * 8 < program.length, 'ran off the end')
    const at = pc * 8
    const code = program[at]
    const [target, source] = [(program[at + 1] as number) & 15, (program[at + 1] as number) >> 4]
    const [offset, k] = [program.readInt16LE(at + 2), program.readInt32LE(at + 4)]
    const value = registers[target] as number
    if (code === 0x95) return registers[0] as number
    else if (code === 0x61) registers[target] = context[offset / 4] as number
    else if (code === 0xb4) registers[target] = k >>> 0
    else if (code === 0xbc) registers[target] = registers[source] as number
    else if (code === 0x54) registers[target] = (value & k) >>> 0
    else if (code === 0x74) registers[target] = value >>> k
    else if (code === 0x15) pc += value === k ? offset : 0
    else if (code === 0x55) pc += value !== k ? offset : 0
    else if (code === 0x5d) pc += value !== registers[source] ? offset : 0
    else assert.fail(`instruction ${code}`)
  }
}

const bits: Record<string, number> = { m: 1, r: 2, w: 4 }

/** From the last rule back: the first that is about the device and the access decides. */
function expected(rules: readonly OciDeviceRule[], { type, access, major, minor }: Access): number {
  for (const rule of rules.toReversed()) {
    if (rule.type === 'b' && type !== 1) continue
    if (rule.type === 'c' && type !== 2) continue
    if (rule.major !== undefined && rule.major !== major) continue
    if (rule.minor !== undefined && rule.minor !== minor) continue
    const mask = [...(rule.access ?? 'rwm')].reduce((sum, letter) => sum | (bits[letter] as number), 0)
    if (rule.allow ? (access & ~mask) === 0 : (access & mask) !== 0) return rule.allow ? 1 : 0
  }
  return 0
}

function* accesses(numbers: readonly number[]): Generator<Access> {
  for (const type of [1, 2] as const)
    for (let access = 1; access < 8; access += 1)
      for (const major of numbers) for (const minor of numbers) yield { type, access, major, minor }
}

function agree(rules: readonly OciDeviceRule[], numbers: readonly number[]): void {
  const program = deviceProgram(rules)
  assert.equal(program.length % 8, 0)
  for (const access of accesses(numbers))
    assert.equal(run(program, access), expected(rules, access), JSON.stringify([rules, access]))
}

test('the default rules', () => agree(defaultDeviceRules, [0, 1, 2, 3, 5, 7, 8, 9, 10, 136, 229]))

test('nothing said is nothing allowed; all allowed is all allowed', () => {
  agree([], [0, 1])
  agree([{ allow: true }], [0, 1])
  agree([{ allow: true }, { allow: false, type: 'a', access: 'rwm' }], [0, 1])
})

test('random rules', () => {
  let state = 1
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
  for (let round = 0; round < 200; round += 1) {
    const rules = Array.from({ length: random(8) }, (): OciDeviceRule => {
      const type = (['a', 'b', 'c', undefined] as const)[random(4)]
      return {
        allow: random(2) === 0,
        ...(type === undefined ? {} : { type }),
        ...(random(2) === 0 ? {} : { major: random(3) }),
        ...(random(2) === 0 ? {} : { minor: random(3) }),
        ...(random(3) === 0 ? {} : { access: ['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'][random(7)] as string }),
      }
    })
    agree(rules, [0, 1, 2])
  }
})
