/** Compiled filters, loaded into real processes: the kernel takes them and does what the profile says. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import type { OciSeccomp } from '../../engine/spec/oci.ts'
import { defaultSeccompProfile } from '../../engine/spec/seccomp-default.table.ts'
import { resolveSeccomp } from '../../engine/spec/seccomp-profile.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const at = (path: string): string => JSON.stringify(new URL(`../../engine/${path}`, import.meta.url).href)

/** Runs a command behind the filter: a child is forked from a Node without threads, as a shim does it. */
function behind(seccomp: OciSeccomp, argv: string[]): { status: number; stderr: string; stdout: string } {
  const script = `
    import { readFileSync } from 'node:fs'
    import { clone, executeCalls, exit, noNewPrivilegesCall, prepareFork, reap } from ${at('kernel/process.ffi.ts')}
    import { parkOtherThreads } from ${at('kernel/parked-threads.ffi.ts')}
    import { placeAt } from ${at('kernel/descriptors.ffi.ts')}
    import { compileSeccomp } from ${at('kernel/seccomp-program.ts')}
    import { makeCalls } from ${at('kernel/call-sequence.ffi.ts')}
    import { seccompCall } from ${at('kernel/seccomp.ffi.ts')}
    const filter = compileSeccomp(JSON.parse(process.argv[1]), process.arch)
    prepareFork(readFileSync('/proc/self/maps', 'utf8'))
    parkOtherThreads()
    const argv = JSON.parse(process.argv[2])
    const { pid } = clone({ flags: 0n })
    if (pid === 0) {
      try {
        for (const fd of [0, 1, 2]) placeAt(fd, fd)
        makeCalls([noNewPrivilegesCall, seccompCall(filter), ...executeCalls([argv[0]], argv, ['PATH=/usr/bin:/bin'])])
      } catch (error) { console.error(error) }
      exit(111)
    }
    // Parked threads would be waited for.
    exit(reap({ pid, block: true })?.exitCode ?? 1)`
  const result = spawnSync(
    process.execPath,
    ['--single-threaded', '--input-type=module', '-e', script, JSON.stringify(seccomp), JSON.stringify(argv)],
    { env: { ...process.env, UV_USE_IO_URING: '0' }, timeout: 20000 },
  )
  return { status: result.status ?? -1, stderr: result.stderr.toString(), stdout: result.stdout.toString() }
}

const only = (names: string[], action: string, more: object = {}): OciSeccomp => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  syscalls: [{ names, action, ...more }],
})

test('the default profile: ordinary programs run, mount does not', { skip }, () => {
  const seccomp = resolveSeccomp(defaultSeccompProfile, { capabilities: [], arch: process.arch, kernel: '6.1.0' })
  const fine = behind(seccomp, ['/bin/sh', '-c', 'ls / | sort | head -1 && echo $((6*7))'])
  assert.equal(fine.status, 0, fine.stderr)
  assert.match(fine.stdout, /42\n$/)
  const refused = behind(seccomp, ['/bin/mount', '-t', 'tmpfs', 'none', '/mnt'])
  assert.notEqual(refused.status, 0)
  assert.match(refused.stderr, /permission denied|not permitted/i)
  const unshared = behind(seccomp, ['/usr/bin/unshare', '-n', '/bin/true'])
  assert.match(unshared.stderr, /not permitted/)
})

test('errno: the number of the rule arrives', { skip }, () => {
  const { status, stderr } = behind(only(['mkdir', 'mkdirat'], 'SCMP_ACT_ERRNO', { errnoRet: 28 }), [
    '/bin/mkdir',
    '/tmp/x',
  ])
  assert.equal(status, 1)
  assert.match(stderr, /No space left/)
})

test('kill: SIGSYS ends the process', { skip }, () => {
  for (const action of ['SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_TRAP'])
    assert.equal(behind(only(['mkdir', 'mkdirat'], action), ['/bin/mkdir', '/tmp/x']).status, 128 + 31, action)
})

test('arguments are compared by the kernel, too', { skip }, () => {
  const exit42 = only(['exit_group'], 'SCMP_ACT_KILL_PROCESS', { args: [{ index: 0, value: 42, op: 'SCMP_CMP_EQ' }] })
  assert.equal(behind(exit42, ['/bin/sh', '-c', 'exit 41']).status, 41)
  assert.equal(behind(exit42, ['/bin/sh', '-c', 'exit 42']).status, 128 + 31)
  const over = only(['exit_group'], 'SCMP_ACT_KILL_PROCESS', { args: [{ index: 0, value: 9, op: 'SCMP_CMP_GT' }] })
  assert.equal(behind(over, ['/bin/sh', '-c', 'exit 9']).status, 9)
  assert.equal(behind(over, ['/bin/sh', '-c', 'exit 10']).status, 128 + 31)
})

test('a listener: the descriptor comes back', { skip }, () => {
  const script = `
    import { readlinkSync } from 'node:fs'
    import { noNewPrivilegesCall } from ${at('kernel/process.ffi.ts')}
    import { compileSeccomp } from ${at('kernel/seccomp-program.ts')}
    import { makeCalls } from ${at('kernel/call-sequence.ffi.ts')}
    import { seccompCall } from ${at('kernel/seccomp.ffi.ts')}
    const seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['swapoff'], action: 'SCMP_ACT_NOTIFY' }] }
    const fd = makeCalls([noNewPrivilegesCall, seccompCall(compileSeccomp(seccomp, process.arch))])
    console.log(readlinkSync('/proc/self/fd/' + fd))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--single-threaded', '--input-type=module', '-e', script], {
    env: { ...process.env, UV_USE_IO_URING: '0' },
    timeout: 20000,
  })
  assert.match(stdout.toString(), /seccomp notify/, stderr.toString())
})
