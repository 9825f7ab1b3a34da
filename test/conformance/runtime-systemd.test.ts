/**
 * Groups that systemd makes: the same cases for our own runtime and for runc; and how it is refused without. crun is not
 * asked: it puts the container into a group below the scope, and answers in other words.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { buildOwnRuntime, findProgram, RuntimeBed } from './runtime-bed.ts'

const systemd = existsSync('/run/systemd/system')
const unified = existsSync('/sys/fs/cgroup/cgroup.controllers')
const skip = process.getuid?.() !== 0 && 'needs root'
const skipManaged = skip || (!systemd && 'needs systemd') || (!unified && 'needs cgroup v2')
const MB = 1024 * 1024

let own: string
let place: string
before(async () => {
  place = mkdtempSync(join(tmpdir(), 'drydock-own-systemd-'))
  own = await buildOwnRuntime(place)
})
after(() => rmSync(place, { recursive: true, force: true }))

const property = (unit: string, name: string): string =>
  execFileSync('systemctl', ['show', '--value', `--property=${name}`, unit], { encoding: 'utf8' }).trim()

function configure(bed: RuntimeBed, args: string[], cgroupsPath: string): void {
  bed.configure(args, (spec) => {
    spec.linux!.cgroupsPath = cgroupsPath
    spec.linux!.resources = {
      memory: { limit: 200 * MB },
      cpu: { shares: 512, quota: 20_000, period: 100_000 },
      pids: { limit: 50 },
    }
  })
}

const managed = (bed: RuntimeBed, verb: string, ...words: string[]) =>
  bed.run(['--systemd-cgroup', verb, ...words], verb === 'create' ? { stdio: 'ignore' } : {})

function suite(name: string, program: () => string): void {
  test('a scope with the container in it and nobody else, its limits known to systemd', () => {
    using bed = new RuntimeBed(program())
    const unit = `${name}-test-one.scope`
    const group = `/sys/fs/cgroup/drydock.slice/${unit}`
    configure(bed, ['sleep', '1000'], `drydock.slice:${name}-test:one`)
    assert.equal(managed(bed, 'create', '--bundle', bed.bundle, 'one').status, 0)
    assert.equal(readFileSync(`${group}/cgroup.procs`, 'utf8').trim(), String(bed.state('one').pid))
    assert.equal(managed(bed, 'start', 'one').status, 0)
    assert.deepEqual(
      ['ActiveState', 'Delegate', 'Slice', 'MemoryMax', 'TasksMax', 'CPUQuotaPerSecUSec'].map((key) =>
        property(unit, key),
      ),
      ['active', 'yes', 'drydock.slice', String(200 * MB), '50', '200ms'],
    )
    assert.equal(readFileSync(`${group}/memory.max`, 'utf8').trim(), String(200 * MB))
    assert.equal(readFileSync(`${group}/cpu.max`, 'utf8').trim(), '20000 100000')
    assert.equal(managed(bed, 'update', '--memory', String(100 * MB), 'one').status, 0)
    assert.equal(property(unit, 'MemoryMax'), String(100 * MB))
    // It writes what it knows once more.
    execFileSync('systemctl', ['daemon-reload'])
    assert.equal(readFileSync(`${group}/memory.max`, 'utf8').trim(), String(100 * MB))
    assert.equal(readFileSync(`${group}/pids.max`, 'utf8').trim(), '50')
    assert.equal(managed(bed, 'delete', '--force', 'one').status, 0)
    assert.ok(!existsSync(group))
    assert.equal(property(unit, 'LoadState'), 'not-found')
  })

  test('a unit that is there already is not taken over', () => {
    using bed = new RuntimeBed(program())
    configure(bed, ['sleep', '1000'], `:${name}-test:two`)
    assert.equal(managed(bed, 'create', '--bundle', bed.bundle, 'two').status, 0)
    const { pid } = bed.state('two')
    assert.notEqual(managed(bed, 'create', '--bundle', bed.bundle, 'three').status, 0)
    const group = `/sys/fs/cgroup/system.slice/${name}-test-two.scope`
    assert.equal(readFileSync(`${group}/cgroup.procs`, 'utf8').trim(), String(pid))
    assert.equal(managed(bed, 'delete', '--force', 'two').status, 0)
  })

  test('a creation that fails leaves no unit', () => {
    using bed = new RuntimeBed(program())
    configure(bed, ['/no/such/program'], `:${name}-test:four`)
    assert.notEqual(managed(bed, 'run', '--bundle', bed.bundle, 'four').status, 0)
    assert.equal(property(`${name}-test-four.scope`, 'LoadState'), 'not-found')
  })

  test('a path that makes no unit is refused', () => {
    using bed = new RuntimeBed(program())
    configure(bed, ['true'], '/five')
    const { status, stderr } = managed(bed, 'run', '--bundle', bed.bundle, 'five')
    assert.notEqual(status, 0)
    assert.match(stderr, /cgroupsPath|systemd cgroup|slice:prefix:name/i)
  })
}

for (const name of ['drydock-runtime', 'runc']) {
  const program = name === 'drydock-runtime' ? () => own : () => findProgram(name)!
  const missing = name !== 'drydock-runtime' && findProgram(name) === undefined && `${name} is not installed`
  describe(name, { skip: skipManaged || missing }, () => suite(name, program))
}

test('where systemd does not run its groups are refused', { skip: skip || (systemd && 'systemd runs here') }, () => {
  using bed = new RuntimeBed(own)
  configure(bed, ['true'], 'a.slice:p:none')
  const { status, stderr } = managed(bed, 'run', '--bundle', bed.bundle, 'none')
  assert.notEqual(status, 0)
  assert.match(stderr, /groups of systemd were asked for, but systemd does not run here/)
})
