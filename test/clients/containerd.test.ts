/**
 * containerd, unchanged, with our runtime in place of runc (`--runc-binary`), and with runc itself: its shim makes, starts,
 * watches and deletes containers through the runtime's command line. It runs in namespaces of its own, and what it
 * needs of an image the test makes: there is no network.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { buildOwnRuntime, findProgram } from '../conformance/runtime-bed.ts'
import { Enclosure, type Ended, madeImage, writeImage } from './enclosure.ts'

const needed = ['containerd', 'containerd-shim-runc-v2', 'ctr'].find((name) => findProgram(name) === undefined)
const skip = (process.getuid?.() !== 0 && 'needs root') || (needed !== undefined && `${needed} is not installed`)

class Containerd extends Enclosure {
  async start(): Promise<void> {
    const config = `version = 2
root = "${this.directory}/root"
state = "${this.directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${this.#address}"
`
    writeFileSync(join(this.directory, 'config.toml'), config)
    await this.begin(`exec containerd --config ${this.directory}/config.toml --log-level warn`, this.#address)
  }

  get #address(): string {
    return join(this.directory, 'socket')
  }

  ctr(...words: string[]): Ended {
    return this.run('ctr', '--address', this.#address, ...words)
  }

  runtimeState(id: string): Record<string, unknown> {
    return JSON.parse(this.read(`/run/containerd/runc/default/${id}/state.json`))
  }
}

function suite(name: string): void {
  let daemon: Containerd
  let runtime: string
  before(async () => {
    daemon = new Containerd('containerd')
    const place = join(daemon.directory, 'runtime')
    mkdirSync(place)
    runtime = name === 'runc' ? findProgram('runc')! : await buildOwnRuntime(place)
    await daemon.start()
    const archive = join(daemon.directory, 'image.tar')
    await writeImage(archive)
    const { status, error } = daemon.ctr('image', 'import', archive)
    assert.equal(status, 0, error)
  })
  after(() => daemon?.[Symbol.asyncDispose]())

  const run = (id: string, options: readonly string[], ...command: string[]): Ended =>
    daemon.ctr(
      'run',
      '--runc-binary',
      runtime,
      '--cgroup',
      `${daemon.group}/${id}`,
      ...options,
      madeImage,
      id,
      ...command,
    )
  const remove = (id: string): void => {
    daemon.ctr('task', 'rm', '--force', id)
    assert.equal(daemon.ctr('container', 'rm', id).status, 0)
  }
  const taskState = (id: string): string | undefined =>
    new RegExp(`^${id}\\s+\\d+\\s+(\\w+)`, 'm').exec(daemon.ctr('task', 'ls').out)?.[1]
  const until = async (id: string, state: string): Promise<void> => {
    for (let round = 0; taskState(id) !== state; round += 1) {
      if (round === 100) throw new Error(`${id} is ${taskState(id)}, not ${state}`)
      await sleep(50)
    }
  }

  test('run: output, errors, exit code, and nothing is left', () => {
    const { status, out, error } = run('one', ['--rm'], 'sh', '-c', 'echo out; echo error >&2; exit 7')
    assert.deepEqual([status, out], [7, 'out\n'], error)
    assert.match(error, /^error$/m)
    assert.doesNotMatch(daemon.ctr('task', 'ls').out + daemon.ctr('container', 'ls').out, /one/)
  })

  test('a program that is not there', () => {
    const { status, error } = run('missing', ['--rm'], 'no-such-program')
    assert.notEqual(status, 0)
    assert.match(error, /no-such-program.*not found/)
    daemon.ctr('container', 'rm', 'missing')
  })

  test('the runtime that was asked for is the one that is called', () => {
    run('which', ['--detach'], 'sleep', '100')
    // Every runtime keeps its state in the same place, in words of its own.
    assert.equal('init_process_pid' in daemon.runtimeState('which'), name === 'runc')
    remove('which')
  })

  test('detached: exec, ps, pause, resume, metrics, a signal', async () => {
    const { status, error } = run('long', ['--detach', '--memory-limit', '67108864'], 'sh', '-c', 'sleep 100; true')
    assert.equal(status, 0, error)
    await until('long', 'RUNNING')
    const entered = daemon.ctr('task', 'exec', '--exec-id', 'more', 'long', 'sh', '-c', 'echo inside; exit 5')
    assert.deepEqual([entered.status, entered.out], [5, 'inside\n'], entered.error)
    assert.ok(daemon.ctr('task', 'ps', 'long').out.trim().split('\n').length >= 3)
    assert.equal(daemon.ctr('task', 'pause', 'long').status, 0)
    assert.equal(taskState('long'), 'PAUSED')
    assert.equal(daemon.ctr('task', 'resume', 'long').status, 0)
    assert.equal(taskState('long'), 'RUNNING')
    const metrics = daemon.ctr('task', 'metrics', 'long')
    assert.equal(metrics.status, 0, metrics.error)
    const memory = detectCgroups().group(`${daemon.group}/long`).use().memory
    assert.equal(memory.limit, 67_108_864)
    assert.equal(daemon.ctr('task', 'kill', '--signal', 'KILL', '--all', 'long').status, 0)
    await until('long', 'STOPPED')
    remove('long')
    assert.equal(detectCgroups().group(`${daemon.group}/long`).processes().length, 0)
  })

  test('a read-only root, a volume, seccomp, no new privileges', () => {
    const volume = join(daemon.directory, 'volume')
    mkdirSync(volume)
    const mount = `type=bind,src=${volume},dst=/volume,options=rbind:rw`
    const script = [
      'while read name value; do case $name in Uid:|Seccomp:|NoNewPrivs:) echo $name $value;; esac; done </proc/self/status',
      '(: >/file) 2>/dev/null || echo read-only',
      'echo written >/volume/file',
    ].join('; ')
    const options = ['--rm', '--read-only', '--seccomp', '--mount', mount]
    const { status, out, error } = run('strict', options, 'sh', '-c', script)
    assert.equal(status, 0, error)
    assert.match(out, /^Uid: 0\b/m)
    assert.match(out, /^NoNewPrivs: 1$/m)
    assert.match(out, /^Seccomp: 2$/m)
    assert.match(out, /^read-only$/m)
    assert.equal(readFileSync(join(volume, 'file'), 'utf8'), 'written\n')
    assert.equal(statSync(join(volume, 'file')).uid, 0)
  })
}

for (const name of ['drydock-runtime', 'runc'])
  describe(
    name,
    { skip: skip || (name === 'runc' && findProgram(name) === undefined && 'runc is not installed') },
    () => suite(name),
  )
