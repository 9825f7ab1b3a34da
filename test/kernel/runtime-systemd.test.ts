/** Groups that systemd makes for the runtime's command line; where it does not run, how that is refused. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import type { OciSpec } from '../../engine/spec/oci.ts'

const isRoot = process.getuid?.() === 0
const systemd = existsSync('/run/systemd/system')
const unified = existsSync('/sys/fs/cgroup/cgroup.controllers')
const skip = !isRoot && 'needs root'
const skipManaged = skip || (!systemd && 'needs systemd') || (!unified && 'needs cgroup v2')

const program = resolve(import.meta.dirname, '../../engine/runtime/command/main.ts')
const MB = 1024 * 1024

let place: string
before(() => {
  if (skip === false) place = mkdtempSync('/var/tmp/drydock-systemd-')
})
after(() => {
  if (place !== undefined) rmSync(place, { recursive: true, force: true })
})

type Answer = { status: number | null; stdout: string; stderr: string }

function runtime(...args: string[]): Answer {
  const command = [
    '--single-threaded',
    program,
    'drydock-runtime',
    '0',
    '--root',
    join(place, 'state'),
    '--systemd-cgroup',
  ]
  // Its output goes to a file: what it leaves running would hold a pipe open.
  const output = join(place, 'output')
  const quoted = [process.execPath, ...command, ...args].map((word) => `'${word}'`).join(' ')
  const { status } = spawnSync('sh', ['-c', `${quoted} </dev/null >${output} 2>${output}.err`], {
    env: { ...process.env, UV_USE_IO_URING: '0' },
  })
  return { status, stdout: readFileSync(output, 'utf8'), stderr: readFileSync(`${output}.err`, 'utf8') }
}

function succeed(...args: string[]): string {
  const { status, stdout, stderr } = runtime(...args)
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`)
  return stdout
}

function bundle(name: string, cgroupsPath: string): string {
  const directory = join(place, name)
  for (const path of ['rootfs/usr', 'rootfs/proc', 'rootfs/dev']) mkdirSync(join(directory, path), { recursive: true })
  for (const path of ['lib', 'lib64', 'bin'])
    execFileSync('ln', ['-sn', `usr/${path}`, join(directory, 'rootfs', path)])
  const spec: OciSpec = {
    ociVersion: '1.2.0',
    root: { path: 'rootfs' },
    process: { user: { uid: 0, gid: 0 }, args: ['/usr/bin/sleep', '1000'], cwd: '/' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro'] },
    ],
    linux: {
      cgroupsPath,
      namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }, { type: 'cgroup' }],
      resources: {
        memory: { limit: 200 * MB },
        cpu: { shares: 512, quota: 20_000, period: 100_000 },
        pids: { limit: 50 },
      },
    },
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(spec))
  return directory
}

const property = (unit: string, name: string): string =>
  execFileSync('systemctl', ['show', '--value', `--property=${name}`, unit], { encoding: 'utf8' }).trim()

test('a scope with the container in it and nobody else, its limits known to systemd', { skip: skipManaged }, () => {
  const unit = 'drydock-test-one.scope'
  succeed('create', '--bundle', bundle('one', 'drydock.slice:drydock-test:one'), 'one')
  try {
    const group = '/sys/fs/cgroup/drydock.slice/drydock-test-one.scope'
    const { pid } = JSON.parse(succeed('state', 'one')) as { pid: number }
    assert.equal(readFileSync(`${group}/cgroup.procs`, 'utf8').trim(), String(pid))
    succeed('start', 'one')
    assert.deepEqual(
      ['ActiveState', 'Delegate', 'Slice', 'MemoryMax', 'TasksMax', 'CPUQuotaPerSecUSec', 'CPUWeight'].map((name) =>
        property(unit, name),
      ),
      ['active', 'yes', 'drydock.slice', String(200 * MB), '50', '200ms', '59'],
    )
    assert.equal(readFileSync(`${group}/memory.max`, 'utf8').trim(), String(200 * MB))
    assert.equal(readFileSync(`${group}/cpu.max`, 'utf8').trim(), '20000 100000')
    succeed('update', '--memory', String(100 * MB), 'one')
    assert.equal(property(unit, 'MemoryMax'), String(100 * MB))
    execFileSync('systemctl', ['daemon-reload'])
    assert.equal(readFileSync(`${group}/memory.max`, 'utf8').trim(), String(100 * MB))
    assert.equal(readFileSync(`${group}/pids.max`, 'utf8').trim(), '50')
  } finally {
    succeed('delete', '--force', 'one')
  }
  assert.ok(!existsSync('/sys/fs/cgroup/drydock.slice/drydock-test-one.scope'))
  assert.equal(property(unit, 'LoadState'), 'not-found')
})

test('a name that is taken is a conflict, and the other goes on', { skip: skipManaged }, () => {
  succeed('run', '--detach', '--bundle', bundle('two', ':drydock-test:two'), 'two')
  try {
    const { status, stderr } = runtime('create', '--bundle', bundle('three', ':drydock-test:two'), 'three')
    assert.notEqual(status, 0)
    assert.match(stderr, /exists and has processes in it|UnitExists/)
    assert.equal(property('drydock-test-two.scope', 'ActiveState'), 'active')
  } finally {
    succeed('delete', '--force', 'two')
  }
})

test('a creation that fails leaves no unit', { skip: skipManaged }, () => {
  const directory = bundle('four', ':drydock-test:four')
  const spec = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as OciSpec
  spec.process!.args = ['/no/such/program']
  writeFileSync(join(directory, 'config.json'), JSON.stringify(spec))
  const { status, stderr } = runtime('create', '--bundle', directory, 'four')
  assert.notEqual(status, 0)
  assert.match(stderr, /no such file or directory/)
  assert.equal(property('drydock-test-four.scope', 'LoadState'), 'not-found')
})

test('a path that makes no unit is refused', { skip: skipManaged }, () => {
  const { stderr } = runtime('create', '--bundle', bundle('five', '/five'), 'five')
  assert.match(stderr, /linux\.cgroupsPath: \\?"\/five\\?" is not of the form slice:prefix:name/)
})

test('where systemd does not run its groups are refused', { skip: skip || (systemd && 'systemd runs here') }, () => {
  const { status, stderr } = runtime('create', '--bundle', bundle('none', 'a.slice:p:none'), 'none')
  assert.notEqual(status, 0)
  assert.match(stderr, /groups of systemd were asked for, but systemd does not run here/)
})
