/**
 * Runs kernel tests on cgroup v2, whatever the machine has: in user-mode Linux from Debian's package, with this very
 * file system as its root, read-only. Needs Debian or Ubuntu on x86_64 and /dev/shm; no root, no virtualisation.
 *
 *   node test/vm/main.ts [--nested] [FILE …]
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const project = resolve(import.meta.dirname, '../..')
const cache = process.env.DRYDOCK_VM ?? join(project, '.cache/vm')
const kernel = join(cache, 'uml/usr/bin/linux.uml')
const defaultTests = ['cgroup', 'device-program', 'seccomp'].map((name) => `test/kernel/${name}.test.ts`)
const patience = 10 * 60 * 1000

/** The package is unpacked, not installed: nothing of the machine changes. */
function fetchKernel(): void {
  if (existsSync(kernel)) return
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'fetch-'))
  try {
    execFileSync('apt-get', ['download', 'user-mode-linux'], { cwd: work, stdio: 'inherit' })
    const archive = readdirSync(work).find((name) => name.endsWith('.deb')) as string
    execFileSync('dpkg-deb', ['--extract', archive, 'uml'], { cwd: work })
    renameSync(join(work, 'uml'), join(cache, 'uml'))
  } finally {
    rmSync(work, { recursive: true })
  }
}

function commandLine(tests: readonly string[], nested: boolean, directory: string): string[] {
  return [
    'mem=1024M',
    `uml_dir=${directory}`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'ro',
    `init=${join(project, 'test/vm/init.sh')}`,
    'con0=fd:0,fd:1',
    'con=null',
    'quiet',
    'loglevel=3',
    // Without it kernels from 6.16 on trace every system call of the guest, which is slower by far.
    'seccomp=on',
    `drydock_project=${project}`,
    `drydock_modules=${join(cache, 'uml/usr/lib/uml/modules')}`,
    `drydock_mode=${nested ? 'nested' : 'plain'}`,
    `drydock_tests=${tests.join(',')}`,
  ]
}

/** The tests' exit code; 125 where the guest ended without one. */
async function run(tests: readonly string[], nested: boolean): Promise<number> {
  const directory = mkdtempSync(join(cache, 'run-'))
  using cleanup = new DisposableStack()
  cleanup.defer(() => rmSync(directory, { recursive: true }))
  const guest = spawn(kernel, commandLine(tests, nested, directory), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: '/dev/shm' },
    // The guest's processes are processes here: a group of their own, so that all of them end together.
    detached: true,
  })
  const endGuest = (): void => {
    try {
      process.kill(-(guest.pid as number), 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  cleanup.defer(endGuest)
  const timer = setTimeout(endGuest, patience)
  cleanup.defer(() => clearTimeout(timer))
  let output = ''
  guest.stdout.setEncoding('utf8')
  for await (const chunk of guest.stdout as AsyncIterable<string>) {
    process.stdout.write(chunk)
    output += chunk
  }
  const code = /drydock-vm-exit=(\d+)/.exec(output)?.[1]
  return code === undefined ? 125 : Number(code)
}

const { values, positionals } = parseArgs({ options: { nested: { type: 'boolean' } }, allowPositionals: true })
fetchKernel()
const tests = positionals.length === 0 ? defaultTests : positionals.map((file) => relative(project, resolve(file)))
process.exitCode = await run(tests, values.nested === true)
