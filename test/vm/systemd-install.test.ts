/**
 * `drydock setup` on a machine that systemd runs: as an ordinary user with sudo, from the built engine, into the usual
 * places. It changes the machine, so it runs in the virtual machine only.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadedProfiles } from '../../engine/lifecycle/apparmor.ts'
import { user } from './guest.table.ts'

const built = resolve(import.meta.dirname, '../../dist/engine/main.js')
const skip =
  process.env.DRYDOCK_GUEST === undefined
    ? 'changes the machine: only in the virtual machine of npm run test:vm'
    : !existsSync('/run/systemd/system') && 'systemd does not run here'

const noAppArmor = loadedProfiles() === undefined && 'AppArmor is off in this kernel'

const socket = '/run/drydock/docker.sock'
const service = '/sys/fs/cgroup/system.slice/drydock.service'

type Said = { code: number; out: string; error: string }

function run(program: string, ...args: string[]): Said {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 240_000, cwd: '/' })
  return { code: status ?? -1, out: stdout, error: stderr }
}

/** The output; fails with what the program said where it does not end with 0. */
function output(program: string, ...args: string[]): string {
  const { code, out, error } = run(program, ...args)
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${out}${error}`)
  return out.trim()
}

/** As the user, whose socket it is: no sudo from here on. */
const drydock = (...args: string[]): string => output('setpriv', ...asUser, 'drydock', ...args)
const docker = (...args: string[]): string => output('setpriv', ...asUser, 'docker', '-H', `unix://${socket}`, ...args)
const asUser = [`--reuid=${user.id}`, `--regid=${user.id}`, '--clear-groups', '--reset-env']

const inspect = (name: string, format: string): string => drydock('inspect', '--format', format, name)
const active = (unit: string): string => run('systemctl', 'is-active', unit).out.trim()
const mainProcess = (): string => output('systemctl', 'show', '--property=MainPID', '--value', 'drydock.service')

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 1) {
    assert.ok(waited < 600, `not within a minute: ${what}`)
    await sleep(100)
  }
}

/** The container's group, wherever the engine has put it. */
const groupOf = (name: string): string =>
  join(
    '/sys/fs/cgroup',
    readFileSync(`/proc/${inspect(name, '{{.State.Pid}}')}/cgroup`, 'utf8')
      .trim()
      .replace('0::', ''),
  )

const text = (...path: string[]): string => readFileSync(join(...path), 'utf8').trim()

describe('an engine that systemd runs', { skip }, () => {
  before(() => {
    const said = run('runuser', '-u', user.name, '--', 'sudo', '/usr/local/bin/node', built, 'setup', 'install')
    assert.equal(said.code, 0, said.out + said.error)
    assert.match(said.out, /systemd service drydock/)
  })
  after(() => {
    if (existsSync('/opt/drydock')) run('drydock', 'setup', 'uninstall', '--purge')
  })

  test('the units are sound, and run', () => {
    const units = ['drydock.service', 'drydock.socket'].map((name) => `/etc/systemd/system/${name}`)
    const verified = run('systemd-analyze', 'verify', ...units)
    assert.deepEqual([verified.code, verified.error], [0, ''])
    for (const unit of ['drydock.service', 'drydock.socket']) {
      assert.equal(active(unit), 'active')
      assert.equal(output('systemctl', 'is-enabled', unit), 'enabled')
    }
    assert.equal(output('drydock', 'setup', 'status').split('\n')[0]?.endsWith('running'), true)
  })

  test('the socket is the one of the user who called sudo', () => {
    const { uid, mode } = statSync(socket)
    assert.deepEqual([uid, mode & 0o777], [user.id, 0o660])
    assert.equal(drydock('run', '--rm', '--network', 'none', 'host', 'echo', 'hello'), 'hello')
    const other = ['--reuid=65534', '--regid=65534', '--clear-groups', '--reset-env']
    assert.notEqual(run('setpriv', ...other, 'drydock', 'ps').code, 0)
  })

  test('containers have the AppArmor profile that setup has loaded', { skip: noAppArmor }, () => {
    assert.equal(text('/sys/kernel/security/apparmor/profiles').includes('drydock-default (enforce)'), true)
    const label = ['run', '--rm', '--network', 'none', 'host', 'cat', '/proc/self/attr/current']
    assert.equal(drydock(...label), 'drydock-default (enforce)')
  })

  test('limits hold below the service, also when systemd reads its files again', () => {
    drydock(
      'run',
      '-d',
      '--name',
      'sea',
      '--memory',
      '64m',
      '--cpus',
      '0.5',
      '--pids-limit',
      '20',
      'host',
      'sleep',
      'inf',
    )
    const group = groupOf('sea')
    assert.ok(group.startsWith(`${service}/`), group)
    const limits = (): string[] => ['memory.max', 'cpu.max', 'pids.max'].map((file) => text(group, file))
    const wanted = [String(64 * 1024 * 1024), '50000 100000', '20']
    assert.deepEqual(limits(), wanted)
    const handed = text(service, 'cgroup.subtree_control')
    assert.match(handed, /memory/)
    output('systemctl', 'daemon-reload')
    output('systemctl', 'set-property', '--runtime', 'drydock.service', 'CPUWeight=200')
    assert.equal(text(service, 'cgroup.subtree_control'), handed)
    assert.deepEqual(limits(), wanted)
    drydock('update', '--memory', '96m', '--memory-swap', '96m', 'sea')
    assert.equal(text(group, 'memory.max'), String(96 * 1024 * 1024))
  })

  test("docker's own client sees and measures it", () => {
    assert.equal(docker('ps', '--format', '{{.Names}}'), 'sea')
    assert.equal(docker('info', '--format', '{{.CgroupVersion}}'), '2')
    const [memory, pids] = docker('stats', '--no-stream', '--format', '{{.MemUsage}} {{.PIDs}}', 'sea').split(
      ' / 96MiB ',
    )
    assert.match(memory ?? '', /^[\d.]+[KM]iB$/)
    assert.equal(pids, '1')
    docker('pause', 'sea')
    assert.equal(text(groupOf('sea'), 'cgroup.freeze'), '1')
    docker('unpause', 'sea')
  })

  test('containers live on while the daemon is restarted, killed, stopped and woken by its socket', async () => {
    const pid = inspect('sea', '{{.State.Pid}}')
    const lives = (): void => {
      assert.equal(inspect('sea', '{{.State.Pid}} {{.State.Status}}'), `${pid} running`)
      assert.equal(drydock('exec', 'sea', 'echo', 'here'), 'here')
      assert.equal(drydock('run', '--rm', '--network', 'none', 'host', 'echo', 'next'), 'next')
    }
    output('systemctl', 'restart', 'drydock.service')
    lives()
    const killed = mainProcess()
    process.kill(Number(killed), 'SIGKILL')
    await until('another daemon', () => !['0', killed].includes(mainProcess()))
    lives()
    output('systemctl', 'stop', 'drydock.service')
    assert.equal(active('drydock.service'), 'inactive')
    assert.ok(existsSync(`/proc/${pid}`))
    lives()
    assert.equal(active('drydock.service'), 'active')
  })

  test('setup stop and start, with an exit code that tells', () => {
    const pid = inspect('sea', '{{.State.Pid}}')
    assert.match(output('drydock', 'setup', 'stop'), /containers go on/)
    assert.equal(run('drydock', 'setup', 'status').code, 3)
    assert.deepEqual([active('drydock.service'), active('drydock.socket')], ['inactive', 'inactive'])
    output('drydock', 'setup', 'start')
    assert.equal(inspect('sea', '{{.State.Pid}} {{.State.Status}}'), `${pid} running`)
  })

  test('a container that runs out of memory takes nobody with it', async () => {
    const daemon = mainProcess()
    const { code } = run(
      'drydock',
      'run',
      '--name',
      'greedy',
      '--memory',
      '16m',
      '--memory-swap',
      '16m',
      'host',
      'tail',
      '/dev/zero',
    )
    assert.equal(code, 137)
    assert.equal(inspect('greedy', '{{.State.OOMKilled}}'), 'true')
    await sleep(2000)
    assert.deepEqual([active('drydock.service'), mainProcess()], ['active', daemon])
    assert.equal(inspect('sea', '{{.State.Status}}'), 'running')
  })

  test('nothing is left of it when it is removed', async () => {
    const pid = inspect('sea', '{{.State.Pid}}')
    const { code, out, error } = run(
      'runuser',
      '-u',
      user.name,
      '--',
      'sudo',
      'drydock',
      'setup',
      'uninstall',
      '--purge',
    )
    assert.equal(code, 0, out + error)
    assert.equal(existsSync(`/proc/${pid}`), false)
    const places = [
      '/opt/drydock',
      '/usr/local/bin/drydock',
      '/var/lib/drydock',
      '/run/drydock',
      '/sys/fs/cgroup/drydock',
      '/etc/apparmor.d/drydock-default',
    ]
    assert.deepEqual(
      places.filter((path) => existsSync(path)),
      [],
    )
    assert.deepEqual(
      readdirSync('/etc/systemd/system', { recursive: true }).filter((name) => String(name).includes('drydock.')),
      [],
    )
    await until('the group of the service goes', () => !existsSync(service))
    assert.equal(text('/proc/self/mountinfo').includes('/drydock/'), false)
    assert.equal(output('ip', '-o', 'link').includes('drydock'), false)
    assert.equal(output('nft', 'list', 'tables').includes('drydock'), false)
    assert.equal(run('systemctl', 'list-units', '--all', '--no-legend', 'drydock.service', 'drydock.socket').out, '')
  })
})
