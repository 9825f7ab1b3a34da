/**
 * AppArmor where the kernel enforces it: what setup loads, what a container gets, and what it is kept from although every
 * wall before it is open. It loads profiles into the kernel, so it runs in the virtual machines only.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadProfile, removeProfile } from '../../engine/cli/setup-apparmor.ts'
import { loadedProfiles } from '../../engine/lifecycle/apparmor.ts'
import { TestEngine } from '../engine/engine.ts'

const skip =
  process.env.DRYDOCK_GUEST === undefined
    ? 'changes the machine: only in the virtual machines of npm run test:vm'
    : loadedProfiles() === undefined && 'AppArmor is off in this kernel'

/** All walls that are no AppArmor profile. */
const open = ['SYS_ADMIN', 'SYS_PTRACE', 'KILL'].flatMap((name) => ['--cap-add', name])
const wide = [...open, '--security-opt', 'seccomp=unconfined', '--security-opt', 'systempaths=unconfined']
const unconfined = ['--security-opt', 'apparmor=unconfined']
const label = 'cat /proc/self/attr/current'

describe('AppArmor', { skip }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    removeProfile()
  })

  const run = (options: readonly string[], script: string) =>
    engine.docker(['run', '--rm', '--network', 'none', ...options, 'host', 'sh', '-c', script])
  const sh = async (options: readonly string[], script: string): Promise<string> => {
    const { code, out, error } = await run(options, script)
    assert.equal(code, 0, `${options.join(' ')}: ${error}${out}`)
    return out.trim()
  }
  /** Refused by the profile, and by nothing else: without it the same is done. */
  const kept = async (options: readonly string[], script: string): Promise<void> => {
    const confined = await run([...wide, ...options], script)
    assert.notEqual(confined.code, 0, `${script}: ${confined.out}`)
    assert.match(confined.error, /denied|not permitted|^mount: /i, script)
    await sh([...wide, ...unconfined, ...options], script)
  }
  const info = async (): Promise<{ SecurityOptions: string[]; Warnings: string[] | null }> =>
    (await engine.call('GET', '/info')).json()
  const warned = async (): Promise<boolean> =>
    ((await info()).Warnings ?? []).some((one) => /No default AppArmor profile is loaded/.test(one))

  test('before one is loaded: none, and that is said', async () => {
    removeProfile()
    assert.ok((await info()).SecurityOptions.includes('name=apparmor'))
    assert.equal(await warned(), true)
    assert.equal(await sh([], label), 'unconfined')
    const { code, error } = await run(['--security-opt', 'apparmor=drydock-default'], 'true')
    assert.deepEqual([code, /apparmor=drydock-default: no profile of that name is loaded/.test(error)], [125, true])
  })

  test('loaded, it is the default: for the first process, for execs, in inspect', async () => {
    assert.equal(loadProfile(), undefined)
    assert.equal(loadProfile(), undefined, 'a second time')
    assert.equal(await warned(), false)
    const confined = 'drydock-default (enforce)'
    assert.equal(await sh([], label), confined)
    assert.equal(await sh(['--security-opt', 'no-new-privileges'], label), confined)
    assert.equal(await sh(['--user', '1000:1000'], label), confined)
    assert.equal(await sh(['--init'], label), confined)
    assert.equal(await sh(['--privileged'], label), 'unconfined')
    assert.equal(await sh(unconfined, label), 'unconfined')
    await engine.run('sea', ['sleep', '600'])
    for (const options of [[], ['--privileged'], ['--user', '1000']]) {
      const { out, error } = await engine.docker(['exec', ...options, 'sea', 'sh', '-c', label])
      assert.equal(out.trim(), confined, error)
    }
    const inspect = (name: string) => engine.docker(['inspect', '--format', '{{.AppArmorProfile}}', name])
    assert.equal((await inspect('sea')).out.trim(), 'drydock-default')
    await engine.call('DELETE', '/containers/sea?force=1')
  })

  test('the kernel’s settings, memory and devices are not written, whatever the mounts say', async () => {
    for (const setting of ['kernel/hostname', 'vm/swappiness', 'kernel/randomize_va_space', 'fs/nr_open']) {
      const path = `/proc/sys/${setting}`
      await kept([], `old=$(cat ${path}) && echo "$old" > ${path}`)
    }
    if (existsSync('/proc/sysrq-trigger')) await kept([], 'echo h > /proc/sysrq-trigger')
    await kept(['-v', '/sys:/sys:rw'], 'cat /sys/kernel/security/lsm')
    const setting = `/sys/block/${readdirSync('/sys/block')[0]}/queue/read_ahead_kb`
    await kept(['-v', '/sys:/sys:rw'], `old=$(cat ${setting}) && echo "$old" > ${setting}`)
  })

  test('what is the container’s own is', async () => {
    await sh(wide, 'old=$(cat /proc/sys/kernel/shmmax) && echo "$old" > /proc/sys/kernel/shmmax')
    await sh([], 'echo 10 > /proc/self/oom_score_adj && mkdir /tmp/x && echo in > /tmp/x/file && rm -r /tmp/x')
    await sh(['--cap-add', 'NET_ADMIN'], 'ip link set lo mtu 1400')
    await sh([], 'sleep 100 & kill -9 $! && ! wait $!')
  })

  test('nothing is mounted, and umount is as the capabilities say', async () => {
    await kept([], 'mkdir -p /mnt && mount -t tmpfs tmpfs /mnt')
    await kept([], 'mkdir -p /mnt && mount --bind /usr /mnt')
    await kept([], 'mkdir -p /mnt && mount -t proc proc /mnt')
    await sh(wide, 'umount /dev/mqueue')
  })

  test('processes of the machine are neither signalled nor traced', async () => {
    const other = spawn('sleep', ['600'], { stdio: 'ignore' })
    try {
      const shared = ['--pid', 'host']
      const { code } = await run([...wide, ...shared], `kill -0 ${other.pid}`)
      assert.notEqual(code, 0)
      await sh([...wide, ...shared, ...unconfined], `kill -0 ${other.pid}`)
      // Not its environment: the kernel shows that to CAP_SYS_ADMIN, whatever a module says.
      await sh([...wide, ...shared, ...unconfined], `readlink /proc/${other.pid}/cwd`)
      assert.notEqual((await run([...wide, ...shared], `readlink /proc/${other.pid}/cwd`)).code, 0)
    } finally {
      other.kill('SIGKILL')
    }
  })

  test('a profile by name: it is taken, complaining or enforcing', async () => {
    const directory = mkdtempSync('/var/tmp/drydock-apparmor-')
    const file = join(directory, 'profile')
    writeFileSync(file, 'profile drydock-test-reef { file, capability, deny /etc/passwd r, }\n')
    try {
      execFileSync('/usr/sbin/apparmor_parser', ['--replace', '--skip-cache', file])
      const named = ['--security-opt', 'apparmor=drydock-test-reef']
      assert.equal(await sh(named, label), 'drydock-test-reef (enforce)')
      const { code, error } = await run(named, 'cat /etc/passwd')
      assert.deepEqual([code, /Permission denied/.test(error)], [1, true], error)
      execFileSync('/usr/sbin/apparmor_parser', ['--replace', '--skip-cache', '--Complain', file])
      assert.equal(await sh(named, label), 'drydock-test-reef (complain)')
      execFileSync('/usr/sbin/apparmor_parser', ['--remove', file])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('taken away, unless a container has it', async () => {
    const loaded = () => readFileSync('/sys/kernel/security/apparmor/profiles', 'utf8').includes('drydock-default ')
    await engine.run('sea', ['sleep', '600'])
    removeProfile()
    assert.equal(loaded(), true)
    await engine.call('DELETE', '/containers/sea?force=1')
    removeProfile()
    assert.deepEqual([loaded(), existsSync('/etc/apparmor.d/drydock-default')], [false, false])
  })
})
