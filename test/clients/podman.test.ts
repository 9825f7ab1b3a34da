/** podman, unchanged, with our runtime (`--runtime`): through conmon, in namespaces of its own, without a network. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { buildOwnRuntime, findProgram } from '../conformance/runtime-bed.ts'
import { Enclosure, type Ended, madeImage, writeImage } from './enclosure.ts'

const needed = ['podman', 'conmon'].find((name) => findProgram(name) === undefined)
const skip = (process.getuid?.() !== 0 && 'needs root') || (needed !== undefined && `${needed} is not installed`)
const noPause = findProgram('catatonit') === undefined && 'needs catatonit for the first process of a pod'

describe('podman --runtime', { skip }, () => {
  let place: Enclosure
  let runtime: string
  before(async () => {
    place = new Enclosure('podman')
    // A namespace's root goes through it where the kernel cannot map the ids of an overlay's mounts.
    chmodSync(place.directory, 0o711)
    mkdirSync(join(place.directory, 'runtime'))
    runtime = await buildOwnRuntime(join(place.directory, 'runtime'))
    // Whose ids --userns=auto gives out.
    writeFileSync(join(place.directory, 'subuid'), 'containers:700000:1000000\n')
    const ids = ['subuid', 'subgid'].map(
      (name) => `touch /etc/${name}; mount --bind ${place.directory}/subuid /etc/${name}`,
    )
    const ready = join(place.directory, 'ready')
    await place.begin(`${ids.join(' && ')} && touch ${ready} && exec sleep infinity`, ready)
    const archive = join(place.directory, 'image.tar')
    await writeImage(archive)
    succeeds(podman('load', '--input', archive))
  })
  after(() => place?.[Symbol.asyncDispose]())

  const podman = (...words: string[]): Ended => {
    const roots = ['root', 'runroot', 'tmpdir'].flatMap((name) => [`--${name}`, join(place.directory, name)])
    const how = ['--cgroup-manager', 'cgroupfs', '--events-backend', 'none', '--runtime', runtime]
    // The clients' own configuration is for those that speak to the engine.
    const environment = ['-u', 'DOCKER_CONFIG', `TMPDIR=${place.directory}`]
    return place.run('env', ...environment, 'podman', ...roots, ...how, ...words)
  }
  const succeeds = ({ status, out, error }: Ended): string => {
    assert.equal(status, 0, `${error}${out}`)
    return out.trim()
  }
  // Its own defaults are above what a process may have that cannot raise its hard limits.
  const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=5000:5000']
  const create = (verb: string, ...words: string[]): Ended =>
    podman(verb, ...limits, '--cgroup-parent', place.group, ...words)
  const run = (...words: string[]): Ended => create('run', '--network', 'none', ...words)
  const inspect = (id: string, format: string): string => succeeds(podman('inspect', '--format', format, id))

  test('run: output, exit code, a program that is not there', () => {
    const { status, out, error } = run('--rm', madeImage, 'sh', '-c', 'echo out; echo error >&2; exit 7')
    assert.deepEqual([status, out, error], [7, 'out\n', 'error\n'])
    const missing = run('--rm', madeImage, 'no-such-program')
    assert.equal(missing.status, 127)
    assert.match(missing.error, /no-such-program.*not found/)
    assert.equal(succeeds(podman('ps', '--all', '--quiet')), '')
  })

  test('detached: exec, stop, wait, kill', () => {
    const script = 'trap "exit 5" TERM; while :; do sleep 0.1; done'
    succeeds(run('--detach', '--name', 'one', madeImage, 'sh', '-c', script))
    assert.equal(inspect('one', '{{.OCIRuntime}}'), runtime)
    const inside = podman('exec', '--env', 'NAME=value', '--user', '12', 'one', 'sh', '-c', 'echo $NAME; exit 3')
    assert.deepEqual([inside.status, inside.out], [3, 'value\n'], inside.error)
    succeeds(podman('exec', '--detach', 'one', 'sleep', '1'))
    succeeds(podman('stop', '--time', '10', 'one'))
    assert.equal(succeeds(podman('wait', 'one')), '5')
    succeeds(podman('start', 'one'))
    succeeds(podman('kill', 'one'))
    assert.equal(succeeds(podman('wait', 'one')), '137')
    succeeds(podman('rm', 'one'))
  })

  test('pause, top, stats, update', () => {
    succeeds(run('--detach', '--name', 'two', '--memory', '64m', madeImage, 'sleep', '1000'))
    succeeds(podman('pause', 'two'))
    assert.equal(inspect('two', '{{.State.Status}}'), 'paused')
    succeeds(podman('unpause', 'two'))
    assert.equal(inspect('two', '{{.State.Status}}'), 'running')
    assert.match(succeeds(podman('top', 'two', 'comm')), /sleep/)
    assert.equal(succeeds(podman('stats', '--no-stream', '--format', '{{.PIDs}}', 'two')), '1')
    succeeds(podman('update', '--memory', '96m', '--cpus', '0.5', 'two'))
    const { memory, cpu } = detectCgroups().group(inspect('two', '{{.State.CgroupPath}}')).use()
    assert.deepEqual([memory.limit, cpu.quota, cpu.period], [96 * 2 ** 20, 50_000, 100_000])
    succeeds(podman('rm', '--force', '--time', '0', 'two'))
  })

  test('a health check', () => {
    const check = ['--health-cmd', 'test -e /ok', '--health-interval', 'disable', '--health-retries', '1']
    succeeds(run('--detach', '--name', 'three', ...check, madeImage, 'sleep', '1000'))
    assert.equal(podman('healthcheck', 'run', 'three').status, 1)
    succeeds(podman('exec', 'three', 'sh', '-c', ': >/ok'))
    assert.equal(podman('healthcheck', 'run', 'three').status, 0)
    succeeds(podman('rm', '--force', '--time', '0', 'three'))
  })

  test('a user namespace of ids that podman chooses', () => {
    const script = 'read a b c </proc/self/uid_map; echo $a $b $c; : >/made'
    assert.match(succeeds(run('--rm', '--userns=auto', madeImage, 'sh', '-c', script)), /^0 7\d{5} \d+$/)
  })

  test('a pod: its first process holds the namespaces that the others share', { skip: noPause }, () => {
    succeeds(podman('pod', 'create', '--name', 'pod', '--network', 'none', '--cgroup-parent', place.group))
    const hold = 'while :; do sleep 0.1; done'
    succeeds(create('run', '--detach', '--pod', 'pod', '--name', 'a', madeImage, 'sh', '-c', hold))
    const script =
      'for n in net ipc uts; do echo $(ls -l 2>&- /proc/self/ns/$n); done; read h </proc/sys/kernel/hostname; echo $h'
    assert.equal(
      succeeds(create('run', '--rm', '--pod', 'pod', madeImage, 'sh', '-c', script))
        .split('\n')
        .at(-1),
      'pod',
    )
    assert.equal(succeeds(podman('pod', 'inspect', '--format', '{{.State}}', 'pod')), 'Running')
    succeeds(podman('pod', 'pause', 'pod'))
    succeeds(podman('pod', 'unpause', 'pod'))
    succeeds(podman('pod', 'stop', '--time', '0', 'pod'))
    // It cannot take away again what it made for controllers that are nowhere mounted; with runc neither.
    const { status, error } = podman('pod', 'rm', '--force', 'pod')
    if (status !== 0) assert.match(error, /cgroup.*directory not empty/)
    else assert.equal(succeeds(podman('ps', '--all', '--quiet')), '')
  })
})
