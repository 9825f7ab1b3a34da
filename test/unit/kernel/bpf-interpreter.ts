/** For tests: classic BPF as seccomp(2) allows it, and system calls to try on it. */
import assert from 'node:assert/strict'

export type Call = { nr: number; audit: number; args: bigint[] }

/** The kernel's cBPF, as far as seccomp allows it; anything else is a failure, as it is there. */
export function run(program: Buffer, { nr, audit, args }: Call): { value: number; steps: number } {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(nr >>> 0, 0)
  data.writeUInt32LE(audit >>> 0, 4)
  for (const [index, arg] of args.entries()) data.writeBigUInt64LE(arg, 16 + index * 8)
  let accumulator = 0
  for (let pc = 0, steps = 1; ; pc += 1, steps += 1) {
    assert.ok(pc * 8 < program.length, 'ran off the end')
    const [code, jt, jf] = [program.readUInt16LE(pc * 8), program[pc * 8 + 2] ?? 0, program[pc * 8 + 3] ?? 0]
    const k = program.readUInt32LE(pc * 8 + 4)
    if (code === 0x06) return { value: k, steps }
    else if (code === 0x20) {
      assert.ok(k % 4 === 0 && k < 64)
      accumulator = data.readUInt32LE(k)
    } else if (code === 0x54) accumulator = (accumulator & k) >>> 0
    else if (code === 0x05) pc += k
    else if (code === 0x15) pc += accumulator === k ? jt : jf
    else if (code === 0x25) pc += accumulator > k ? jt : jf
    else if (code === 0x35) pc += accumulator >= k ? jt : jf
    else assert.fail(`instruction ${code}`)
  }
}

export const all64 = (1n << 64n) - 1n

/** xorshift32: the same calls at each run, so that a failure can be found again. */
export function randoms(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

export const interesting = [0n, 1n, 7n, 8n, 40n, 0x20000n, 0x7e020000n, 0xffffffffn, 0x100000000n, 0x100000028n, all64]

export function calls(random: (below: number) => number, count: number): Call[] {
  const audits = [0xc000003e, 0x40000003, 0xc00000b7, 0x12345678]
  return Array.from({ length: count }, () => ({
    nr: random(20) === 0 ? 0xffffffff : random(520) + (random(4) === 0 ? 0x40000000 : 0),
    audit: audits[Math.min(random(8) >> 1, random(4))] as number,
    args: Array.from({ length: 6 }, () =>
      random(2) === 0
        ? (interesting[random(interesting.length)] as bigint)
        : (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32)),
    ),
  }))
}
