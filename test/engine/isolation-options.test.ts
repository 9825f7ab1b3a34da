/** The options of `docker run` that open or close walls: each is seen in the kernel, or refused in Docker's words. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { noEngine, TestEngine } from './engine.ts'

const noClient = spawnSync('docker', ['--version']).error !== undefined && 'the docker command line is not installed'
const version1 = readdirSync('/sys/fs/cgroup').includes('memory')

describe('isolation options', { skip: noEngine || noClient }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const run = (options: readonly string[], script: string) => {
    const network = options.some((one) => one.startsWith('--network')) ? [] : ['--network', 'none']
    return engine.docker(['run', '--rm', ...network, ...options, 'host', 'sh', '-c', script])
  }
  const sh = async (options: readonly string[], script: string): Promise<string> => {
    const { code, out, error } = await run(options, script)
    assert.equal(code, 0, `${options.join(' ')}: ${error}${out}`)
    return out
  }
  const refused = async (options: readonly string[], pattern: RegExp): Promise<void> => {
    const { code, error } = await run(options, 'true')
    assert.notEqual(code, 0, options.join(' '))
    assert.match(error, pattern, options.join(' '))
  }
  /** Over the socket, past what docker's command line refuses by itself. */
  const created = async (hostConfig: Record<string, unknown>): Promise<{ status: number; text: string }> => {
    const body = { Image: 'host', Cmd: ['true'], HostConfig: { NetworkMode: 'none', ...hostConfig } }
    const answer = await engine.call('POST', '/containers/create', { body })
    if (answer.status !== 201) return answer
    const { Id } = answer.json<{ Id: string }>()
    const started = await engine.call('POST', `/containers/${Id}/start`)
    await engine.call('DELETE', `/containers/${Id}?force=1`)
    return started
  }
  const sets = (out: string): string[] =>
    ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map(
      (name) => new RegExp(`Cap${name}:\\s(\\w+)`).exec(out)?.[1]?.replace(/^0+(?=.)/, '') ?? '',
    )

  test('by default: fourteen capabilities, a filter, nothing inheritable, what belongs to the machine masked or read-only', async () => {
    const out = await sh([], 'cat /proc/self/status; umask')
    assert.deepEqual(sets(out), ['0', 'a80425fb', 'a80425fb', 'a80425fb', '0'])
    assert.match(out, /NoNewPrivs:\t0\nSeccomp:\t2\n/)
    assert.match(out, /\n0022\n$/)
    const mounts = await sh([], 'cat /proc/self/mountinfo')
    for (const path of ['/proc/sys', '/proc/bus', '/proc/irq', '/proc/fs', '/proc/sysrq-trigger', '/sys'].filter(
      (one) => existsSync(one),
    ))
      assert.match(mounts, new RegExp(` ${path} ro[, ]`), path)
    const masked = ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/interrupts'].filter((path) =>
      existsSync(path),
    )
    assert.ok(masked.length > 0)
    for (const path of masked) assert.match(mounts, new RegExp(` /null ${path} ro`), path)
    // Nothing is shared with the machine: what is mounted on either side stays there.
    assert.doesNotMatch(mounts, / (shared|master):\d+/)
  })

  test('--cap-add, --cap-drop, --privileged', async () => {
    const status = 'grep Cap /proc/self/status'
    assert.equal(sets(await sh(['--cap-add', 'NET_ADMIN', '--cap-drop', 'chown'], status))[2], 'a80435fa')
    assert.deepEqual(sets(await sh(['--cap-drop', 'ALL'], status)), ['0', '0', '0', '0', '0'])
    assert.equal(sets(await sh(['--cap-drop', 'ALL', '--cap-add', 'CAP_KILL'], status))[3], '20')
    assert.deepEqual(sets(await sh(['--user', '1000'], status)), ['0', '0', '0', 'a80425fb', '0'])
    await refused(['--cap-add', 'FLY'], /invalid CapAdd: unknown capability: "CAP_FLY"/)
    const open = await sh(
      ['--privileged'],
      `${status}; cat /proc/self/mountinfo; grep Seccomp: /proc/self/status; ls /dev`,
    )
    const all = /CapEff:\s(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]?.replace(/^0+/, '')
    assert.equal(sets(open)[2], all)
    assert.match(open, / \/sys rw/)
    assert.doesNotMatch(open, /\/proc\/sys ro/)
    assert.match(open, /Seccomp:\t0/)
    for (const node of ['kmsg', 'loop-control'])
      if (readdirSync('/dev').includes(node)) assert.match(open, new RegExp(`^${node}$`, 'm'))
  })

  test('--security-opt', async () => {
    const seen = 'grep -E "NoNew|Seccomp:" /proc/self/status | tr "\\n\\t" ";="'
    assert.equal(await sh(['--security-opt', 'no-new-privileges'], seen), 'NoNewPrivs:=1;Seccomp:=2;')
    assert.equal(await sh(['--security-opt', 'no-new-privileges:false'], seen), 'NoNewPrivs:=0;Seccomp:=2;')
    assert.equal(await sh(['--security-opt', 'seccomp=unconfined'], seen), 'NoNewPrivs:=0;Seccomp:=0;')
    assert.equal(await sh(['--security-opt', 'seccomp=builtin', '--privileged'], seen), 'NoNewPrivs:=0;Seccomp:=2;')
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
    }
    const own = await created({ SecurityOpt: [`seccomp=${JSON.stringify(profile)}`] })
    assert.equal(own.status, 204, own.text)
    const file = join(engine.directory, 'profile.json')
    spawnSync('tee', [file], { input: JSON.stringify(profile) })
    assert.match(await sh(['--security-opt', `seccomp=${file}`], 'mkdir /tmp/x 2>&1; true'), /No space left/)
    const bad = await created({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_NO"}'] })
    assert.deepEqual([bad.status, /defaultAction: unknown seccomp action/.test(bad.text)], [400, true], bad.text)
    const paths = await sh(['--security-opt', 'systempaths=unconfined'], 'grep -c " /proc/" /proc/self/mountinfo; true')
    assert.equal(paths.trim(), '0')
    await refused(['--security-opt', 'gates=open'], /invalid --security-opt 2: "gates=open"/)
    await sh(['--security-opt', 'apparmor=unconfined', '--security-opt', 'label=disable'], 'true')
    await refused(
      ['--security-opt', 'apparmor=no-such-profile'],
      /apparmor=no-such-profile: (AppArmor is not enabled|no profile of that name)/,
    )
    await refused(['--security-opt', 'label=user:x'], /SELinux labels are not supported/)
  })

  test('namespaces: the machine’s, another container’s, one’s own', async () => {
    const machine = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`)
    const own = (await sh([], 'for one in pid ipc uts cgroup user; do readlink /proc/self/ns/$one; done'))
      .trim()
      .split('\n')
    const expected = ['pid', 'ipc', 'uts'].map((kind) => own.includes(machine(kind)))
    assert.deepEqual(expected, [false, false, false])
    assert.ok(own.includes(machine('user')))
    for (const [option, kind] of [
      ['--pid', 'pid'],
      ['--ipc', 'ipc'],
      ['--uts', 'uts'],
      ['--cgroupns', 'cgroup'],
      ['--userns', 'user'],
    ] as const)
      assert.equal((await sh([option, 'host'], `readlink /proc/self/ns/${kind}`)).trim(), machine(kind), option)
    const privately = await sh(
      ['--cgroupns', 'private'],
      'readlink /proc/self/ns/cgroup; grep memory: /proc/self/cgroup || cat /proc/self/cgroup',
    )
    assert.ok(!privately.includes(machine('cgroup')))
    assert.match(privately, /:\/$/m)
    for (const [field, words] of [
      ['PidMode', 'PID'],
      ['IpcMode', 'IPC'],
      ['UTSMode', 'UTS'],
      ['UsernsMode', 'user namespace'],
      ['CgroupnsMode', 'cgroup namespace'],
    ]) {
      const answer = await created({ [field as string]: 'sideways' })
      assert.deepEqual(
        [answer.status, answer.text.includes(`invalid ${words} mode: sideways`)],
        [400, true],
        answer.text,
      )
    }
  })

  test('shared memory goes with the IPC namespace', async () => {
    await engine.run('donor', ['sleep', '600'], { HostConfig: { NetworkMode: 'none', IpcMode: 'shareable' } })
    await engine.run('closed', ['sleep', '600'])
    await engine.docker(['exec', 'donor', 'sh', '-c', 'echo shared >/dev/shm/word'])
    const joined = await sh(
      ['--ipc', 'container:donor'],
      'cat /dev/shm/word; readlink /proc/self/ns/ipc; echo back >/dev/shm/answer',
    )
    const donor = await engine.docker([
      'exec',
      'donor',
      'sh',
      '-c',
      'echo shared; readlink /proc/self/ns/ipc; cat /dev/shm/answer',
    ])
    assert.equal(donor.out, `${joined}back\n`)
    await refused(
      ['--ipc', 'container:closed'],
      /non-shareable IPC \(hint: use IpcMode:shareable for the donor container\)/,
    )
    assert.match(await sh(['--ipc', 'none'], 'ls /dev/shm 2>&1; true'), /No such file/)
    const device = await sh(['--ipc', 'host'], 'stat -c %d /dev/shm')
    assert.equal(device.trim(), String(statSync('/dev/shm').dev))
    assert.match(await sh(['--shm-size', '10m'], 'df -k /dev/shm'), / 10240 /)
    const pids = await sh(['--pid', 'container:donor'], 'cat /proc/1/comm')
    assert.equal(pids, 'sleep\n')
    for (const mode of ['--ipc', '--pid', '--network'])
      await refused([mode, 'container:nosuch'], /Error response from daemon: No such container: nosuch/)
    for (const name of ['donor', 'closed']) await engine.call('DELETE', `/containers/${name}?force=1`)
  })

  test('devices: nodes with their rights, directories, rules', async () => {
    const probe = (path: string) => `head -c1 ${path} >/dev/null 2>&1; echo $?`
    // /dev/zero is everybody's; under another number it is nobody's.
    assert.equal(
      await sh(['--device', '/dev/zero:/dev/nil:r'], `${probe('/dev/nil')}; stat -c %t:%T /dev/nil`),
      '0\n1:5\n',
    )
    const forbidden = 'mknod /tmp/d c 10 229 && (: </tmp/d) 2>&1; true'
    assert.match(await sh([], forbidden), /Operation not permitted/)
    const present = readdirSync('/dev').includes('fuse')
    if (present) {
      assert.doesNotMatch(await sh(['--device-cgroup-rule', 'c 10:229 rw'], forbidden), /not permitted/)
      assert.doesNotMatch(await sh(['--device', '/dev/fuse'], ': </dev/fuse'), /not permitted/)
      assert.match(await sh(['--device', '/dev/fuse:/dev/fuse:w'], '(: </dev/fuse) 2>&1; true'), /not permitted/)
    }
    assert.equal(
      statSync('/dev/net/tun', { throwIfNoEntry: false }) === undefined
        ? 'tun\n'
        : await sh(['--device', '/dev/net:/dev/other'], 'ls /dev/other'),
      'tun\n',
    )
    await refused(
      ['--device', '/dev/nosuch'],
      /error gathering device information while adding custom device "\/dev\/nosuch": no such file or directory/,
    )
    const rule = await created({ DeviceCgroupRules: ['x 1:2 rwm'] })
    assert.deepEqual([rule.status, /invalid device cgroup rule format: 'x 1:2 rwm'/.test(rule.text)], [400, true])
    const rights = await created({
      Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/n', CgroupPermissions: 'rx' }],
    })
    assert.equal(rights.status, 400, rights.text)
  })

  test('sysctls of namespaces, and no others', async () => {
    assert.equal(await sh(['--sysctl', 'net.ipv4.ip_forward=1'], 'cat /proc/sys/net/ipv4/ip_forward'), '1\n')
    assert.equal(await sh(['--sysctl', 'kernel.msgmax=9000'], 'cat /proc/sys/kernel/msgmax'), '9000\n')
    for (const host of [
      { Sysctls: { 'kernel.panic': '1' } },
      { Sysctls: { 'net.ipv4.ip_forward': '1' }, NetworkMode: 'host' },
      { Sysctls: { 'kernel.msgmax': '1' }, IpcMode: 'host' },
      { Sysctls: { 'net/../kernel/panic': '1' } },
    ]) {
      const answer = await created(host)
      assert.match(answer.text, /is not in a separate kernel namespace/, answer.text)
    }
  })

  test('limits of the process: ulimits, groups, out-of-memory score', async () => {
    assert.equal(
      await sh(['--ulimit', 'nofile=100:200', '--ulimit', 'core=0'], 'ulimit -n; ulimit -Hn; ulimit -c'),
      '100\n200\n0\n',
    )
    const groups = await sh(
      ['--user', '1234:5', '--group-add', '77', '--group-add', 'adm'],
      'grep -E "^(Uid|Gid|Groups)" /proc/self/status | tr "\\t\\n" " ;"',
    )
    assert.match(groups, /^Uid: 1234 .*;Gid: 5 .*;Groups: 4 (5 )?77 ;$/)
    await refused(['--group-add', 'nosuchgroup'], /Unable to find group nosuchgroup/)
    assert.equal(await sh(['--oom-score-adj', '500'], 'cat /proc/self/oom_score_adj'), '500\n')
    await refused(['--oom-score-adj', '2000'], /Invalid value 2000, range for oom score adj is \[-1000, 1000\]/)
  })

  test('limits of the group', async () => {
    const file = (name: string): string => {
      const controller = version1 ? name.slice(0, name.indexOf('.')) : ''
      const line = version1 ? `grep -E ":([^:]*,)?${controller}[,:]" /proc/self/cgroup` : 'cat /proc/self/cgroup'
      return `cat /sys/fs/cgroup/${controller}/$(${line} | cut -d: -f3)/${name}`
    }
    const see = async (options: string[], wanted: Record<string, string>): Promise<void> => {
      const names = Object.keys(wanted)
      const visible = ['--cgroupns', 'host', '-v', '/sys/fs/cgroup:/sys/fs/cgroup:ro']
      const out = await sh([...visible, ...options], names.map(file).join('; '))
      const seen = out.trim().split('\n')
      assert.deepEqual(Object.fromEntries(names.map((name, index) => [name, seen[index]])), wanted)
    }
    const memory = ['--memory', '64m', '--memory-swap', '128m', '--memory-reservation', '32m']
    const cpu = ['--cpu-shares', '512', '--cpu-quota', '50000', '--cpu-period', '100000', '--pids-limit', '17']
    if (!version1) {
      await see(memory, { 'memory.max': '67108864', 'memory.swap.max': '67108864', 'memory.low': '33554432' })
      await see(cpu, { 'cpu.weight': '59', 'cpu.max': '50000 100000', 'pids.max': '17' })
      const { code, error } = await run(['--memory', '64m', '--memory-swappiness', '10', '--oom-kill-disable'], 'true')
      assert.equal(code, 0, error)
      assert.match(error, /Memory swappiness discarded\.[\s\S]*OomKillDisable discarded\./)
    } else {
      await see([...memory, '--memory-swappiness', '10'], {
        'memory.limit_in_bytes': '67108864',
        'memory.memsw.limit_in_bytes': '134217728',
        'memory.soft_limit_in_bytes': '33554432',
        'memory.swappiness': '10',
      })
      await see(cpu, { 'cpu.shares': '512', 'cpu.cfs_quota_us': '50000', 'pids.max': '17' })
      await see(['--memory', '64m', '--oom-kill-disable'], { 'memory.oom_control': 'oom_kill_disable 1' })
    }
    if (version1 || detectCgroups().controllers.includes('cpuset'))
      await see(['--cpuset-cpus', '0'], { 'cpuset.cpus': '0' })
  })

  test('block devices, control group parents', async () => {
    // Not by docker's command line: some of its versions lose the option (26.1).
    const throttled = await created({ BlkioDeviceReadBps: [{ Path: '/dev/nosuch', Rate: 1_000_000 }] })
    assert.notEqual(throttled.status, 204)
    assert.match(throttled.text, /no such file or directory/)
    await refused(['--blkio-weight', '5'], /Range of blkio weight is from 10 to 1000/)
    await refused(['--cpus', '0.5', '--cpu-quota', '1000'], /Nano CPUs and CPU Quota cannot both be set/)
    await refused(['--cgroup-parent', '/a/../b'], /invalid CgroupParent/)
    const parent = `drydock-options-${process.pid}`
    try {
      const groups = await sh(['--cgroupns', 'host', '--cgroup-parent', parent], 'cat /proc/self/cgroup')
      assert.match(groups, new RegExp(`:/${parent}/[0-9a-f]{64}$`, 'm'))
    } finally {
      for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
        const path = join('/sys/fs/cgroup', hierarchy, parent)
        if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true && !hierarchy.includes(','))
          rmdirSync(path)
      }
    }
  })

  test('runtimes and annotations', async () => {
    await sh(['--runtime', 'io.containerd.runc.v2'], 'true')
    await refused(['--runtime', 'nosuch'], /unknown or invalid runtime name: nosuch/)
    await engine.docker(['create', '--name', 'noted', '--annotation', 'a=b', 'host', 'true'])
    const inspected = (await engine.call('GET', '/containers/noted/json')).json<{
      HostConfig: { Annotations: unknown }
    }>()
    assert.deepEqual(inspected.HostConfig.Annotations, { a: 'b' })
    await engine.call('DELETE', '/containers/noted?force=1')
  })
})
