/** The file of a container's first process: its form by elf(5), its code against an assembler, what it does when run. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { initListings } from '../../../engine/kernel/init-program.table.ts'
import { codeOf, initProgram } from '../../../engine/kernel/init-program.ts'
import { isMissing, testListings } from './assembler.ts'

const machines = ['x64', 'arm64'] as const

for (const machine of machines)
  test(`${machine}: headers of a static program, of one segment that is never both writable and executable`, () => {
    const file = initProgram(machine) ?? Buffer.alloc(0)
    assert.equal(file.toString('latin1', 0, 4), '\x7fELF')
    assert.equal(file.readUInt16LE(18), { x64: 62, arm64: 183 }[machine])
    const [programHeaders, entry] = [Number(file.readBigUInt64LE(32)), file.readBigUInt64LE(24)]
    const segment = file.subarray(programHeaders, programHeaders + 56)
    assert.equal(segment.readUInt32LE(0), 1)
    assert.equal(segment.readUInt32LE(4), 5)
    assert.equal(segment.readBigUInt64LE(32), BigInt(file.length))
    assert.equal(segment.readBigUInt64LE(40), BigInt(file.length))
    const offset = Number(entry - segment.readBigUInt64LE(16))
    assert.deepEqual(file.subarray(offset), codeOf(initListings[machine]))
    assert.equal(file.readUInt32LE(programHeaders + 56), 0x6474e551)
    assert.equal(file.readUInt32LE(programHeaders + 60), 6)
  })

test('no other machine has one', () => {
  assert.equal(initProgram('s390x'), undefined)
  assert.equal(initProgram('toString'), undefined)
})

testListings(initListings)

/** The words before the program that make it run here; undefined where nothing does. */
function runner(machine: (typeof machines)[number]): string[] | undefined {
  if (process.platform !== 'linux') return undefined
  if (process.arch === machine) return []
  return machine === 'arm64' && !isMissing('qemu-aarch64-static') ? ['qemu-aarch64-static'] : undefined
}

for (const machine of machines) {
  const emulated = runner(machine)
  describe(`${machine}: run`, { skip: emulated === undefined && `neither ${machine} nor an emulator of it` }, () => {
    let directory = ''
    before(() => {
      directory = mkdtempSync(join(tmpdir(), 'drydock-init-'))
      writeFileSync(join(directory, 'init'), initProgram(machine) ?? '', { mode: 0o755 })
      mkdirSync(join(directory, 'one'))
      writeFileSync(join(directory, 'one/locked'), 'echo no\n', { mode: 0o644 })
      mkdirSync(join(directory, 'two'))
      writeFileSync(join(directory, 'two/script'), 'echo "of the shell: $*"\n', { mode: 0o755 })
    })
    after(() => rmSync(directory, { recursive: true, force: true }))

    const words = (): [string, string[]] => {
      const [program = '', ...more] = [...(emulated ?? []), join(directory, 'init')]
      return [program, more]
    }
    function run(args: string[], path = process.env.PATH): SpawnSyncReturns<string> {
      const [program, more] = words()
      // The emulator is looked for in this process's own PATH.
      const emulator = program.includes('/') ? program : `/usr/bin/${program}`
      const env = path === undefined ? {} : { PATH: path }
      return spawnSync(emulator, [...more, ...args], { env, cwd: directory, encoding: 'utf8', timeout: 20_000 })
    }
    const ends = (args: string[], status: number, stderr: string, path?: string): void => {
      const found = run(args, path)
      assert.deepEqual([found.status, found.stderr], [status, stderr])
    }

    test('exit codes and signals of the command are its own', () => {
      ends(['--', 'sh', '-c', 'exit 7'], 7, '')
      ends(['sh', '-c', 'kill -KILL $$'], 137, '')
    })

    test('what cannot be run has its code and its sentence', () => {
      const cannot = 'docker-init: cannot run '
      ends(['--', 'nosuch'], 127, `${cannot}nosuch: No such file or directory\n`)
      ends(['--', './nosuch'], 127, `${cannot}./nosuch: No such file or directory\n`)
      ends(['--', ''], 127, `${cannot}: No such file or directory\n`)
      ends(['--', 'x'.repeat(5000)], 127, `${cannot}${'x'.repeat(5000)}: No such file or directory\n`)
      ends(['--', '/etc'], 126, `${cannot}/etc: Permission denied\n`)
      ends(['--', 'one/locked'], 126, `${cannot}one/locked: Permission denied\n`)
      ends(['--', '/etc/passwd/x'], 126, `${cannot}/etc/passwd/x: not a program for this machine\n`)
      ends([], 1, 'docker-init: no command was given\n')
      ends(['--'], 1, 'docker-init: no command was given\n')
    })

    test('PATH is searched as execvp(3) does', () => {
      const found = (path: string, name = 'script'): string => run(['--', name, 'a', 'b'], path).stdout
      const said = 'of the shell: a b\n'
      assert.equal(found(`/no/such:/etc/passwd:${directory}/two`), said)
      assert.equal(found(`${'/long'.repeat(2000)}:${directory}/two`), said)
      assert.equal(found('', 'two/script'), said)
      writeFileSync(join(directory, 'here'), 'echo "of the shell: $*"\n', { mode: 0o755 })
      assert.equal(found(':/no/such', 'here'), said)
      assert.equal(found('/no/such:', 'here'), said)
      ends(['--', 'locked'], 126, 'docker-init: cannot run locked: Permission denied\n', `${directory}/one:/bin`)
      const [program, more] = words()
      const bare = spawnSync(program.includes('/') ? program : `/usr/bin/${program}`, [...more, 'true'], { env: {} })
      assert.equal(bare.status, 0)
    })

    test('signals reach the command, with nothing of the mask left on it', async () => {
      const [program, more] = words()
      const script =
        'trap "echo heard; exit 9" USR1; grep SigBlk /proc/self/status; echo ready; while :; do sleep 0.05; done'
      const child = spawn(program, [...more, '--', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
      let seen = ''
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
        if (seen.endsWith('ready\n')) child.kill('SIGUSR1')
      })
      await once(child, 'close')
      assert.equal(child.exitCode, 9)
      assert.match(seen, /^SigBlk:\t0+\nready\nheard\n$/)
    })
  })
}
