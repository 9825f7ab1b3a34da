/** What config.json says of the process, as the process itself sees it; runtime-spec config.md "Process". */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { OciProcess, OciSpec } from '../../engine/spec/oci.ts'
import { ShimBed, script } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
before(async () => {
  if (skip === false) bed = await ShimBed.start()
})
after(() => bed?.close())

const withProcess = (text: string, change: Partial<OciProcess>, linux: Partial<OciSpec['linux']> = {}) =>
  bed.run(script(text), {
    change: (spec) => {
      Object.assign(spec.process!, change)
      Object.assign(spec.linux!, linux)
    },
  })

test('user, groups and umask', { skip }, async () => {
  const { stdout } = await withProcess('id -u; id -g; id -G; umask', {
    user: { uid: 1234, gid: 2345, additionalGids: [7, 99], umask: 0o027 },
  })
  assert.equal(stdout, '1234\n2345\n2345 7 99\n0027\n')
})

test('without a umask that of the runtime stays', { skip }, async () => {
  const { stdout } = await withProcess('umask', {})
  assert.equal(stdout, '0022\n')
})

const mask = (stdout: string, name: string): bigint => BigInt(`0x${new RegExp(`${name}:\\s+(\\S+)`).exec(stdout)![1]}`)
const bit = (number: number): bigint => 1n << BigInt(number)
const [chown, kill, setuid] = [bit(0), bit(5), bit(7)]

test('the five sets of capabilities, ambient ones for a user other than root', { skip }, async () => {
  const { stdout } = await withProcess('cat /proc/self/status', {
    user: { uid: 1000, gid: 1000 },
    noNewPrivileges: false,
    capabilities: {
      bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID'],
      permitted: ['CAP_CHOWN', 'CAP_KILL'],
      effective: ['CAP_CHOWN', 'CAP_KILL'],
      inheritable: ['CAP_KILL'],
      ambient: ['CAP_KILL'],
    },
  })
  assert.equal(mask(stdout, 'CapBnd'), chown | kill | setuid)
  assert.equal(mask(stdout, 'CapAmb'), kill)
  assert.equal(mask(stdout, 'CapInh'), kill)
  assert.equal(mask(stdout, 'CapPrm'), kill, 'execve keeps what is ambient')
  assert.equal(mask(stdout, 'CapEff'), kill)
})

test('without capabilities there are none', { skip }, async () => {
  const { stdout } = await bed.run(['cat', '/proc/self/status'], {
    change: (spec) => {
      delete spec.process!.capabilities
    },
  })
  for (const name of ['CapBnd', 'CapPrm', 'CapEff', 'CapInh', 'CapAmb']) assert.equal(mask(stdout, name), 0n, name)
})

test('a capability that nobody knows is left out with a warning', { skip }, async () => {
  const { exitCode, warnings } = await withProcess('true', {
    capabilities: { bounding: ['CAP_KILL', 'CAP_FLY'], effective: ['CAP_FLY'] },
  })
  assert.equal(exitCode, 0)
  assert.match(warnings, /unknown or unavailable capabilities are left out: CAP_FLY\n/)
})

/** None is above what the test itself has: raising takes a power that root lacks on some machines. */
const resources: readonly (readonly [type: string, line: string, soft: number, hard: number])[] = [
  ['CORE', 'Max core file size', 1000, 2000],
  ['CPU', 'Max cpu time', 100, 200],
  ['DATA', 'Max data size', 100_000_000, 200_000_000],
  ['FSIZE', 'Max file size', 1_000_000, 2_000_000],
  ['LOCKS', 'Max file locks', 10, 20],
  ['MEMLOCK', 'Max locked memory', 65536, 131072],
  ['MSGQUEUE', 'Max msgqueue size', 1000, 2000],
  ['NICE', 'Max nice priority', 0, 0],
  ['NOFILE', 'Max open files', 8, 16],
  ['NPROC', 'Max processes', 1000, 2000],
  ['RSS', 'Max resident set', 1_000_000, 2_000_000],
  ['RTPRIO', 'Max realtime priority', 0, 0],
  ['RTTIME', 'Max realtime timeout', 1000, 2000],
  ['SIGPENDING', 'Max pending signals', 10, 20],
  ['STACK', 'Max stack size', 8_000_000, 16_000_000],
  // Less than the runtime itself has mapped: it must come last.
  ['AS', 'Max address space', 200_000_000, 300_000_000],
]

test('all resource limits', { skip }, async () => {
  const rlimits = resources.map(([type, , soft, hard]) => ({ type: `RLIMIT_${type}`, soft, hard }))
  const { stdout, stderr } = await bed.run(['cat', '/proc/self/limits'], {
    change: (spec) => {
      spec.process!.rlimits = rlimits
    },
  })
  for (const [, line, soft, hard] of resources)
    assert.match(stdout, new RegExp(`^${line}\\s+${soft}\\s+${hard}\\s`, 'm'), stderr)
})

test('limits of memory far below what the runtime itself has', { skip }, async () => {
  const small = (type: string, bytes: number) => ({ type: `RLIMIT_${type}`, soft: bytes, hard: bytes })
  const rlimits = [small('STACK', 1 << 20), small('DATA', 4 << 20), small('AS', 16 << 20)]
  const { stdout, stderr } = await withProcess('cat /proc/self/limits', { rlimits })
  assert.match(stdout, /^Max address space\s+16777216\s/m, stderr)
})

test('between the filter and the program the runtime makes two kinds of calls', { skip }, async () => {
  // Not those of its language, either, which come when they like.
  const names = ['capget', 'clock_gettime', 'epoll_pwait', 'futex', 'getpid', 'madvise', 'setrlimit']
  const { exitCode, stderr } = await bed.run(['true'], {
    change: (spec) => {
      spec.process!.noNewPrivileges = false
      spec.process!.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 64 }]
      const syscalls = [{ names, action: 'SCMP_ACT_KILL_PROCESS' }]
      spec.linux!.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls }
    },
  })
  assert.equal(exitCode, 0, stderr)
})

test('no limit, as -1 and as the largest number', { skip }, async () => {
  const { stdout } = await withProcess('ulimit -c; ulimit -Hc', {
    rlimits: [{ type: 'RLIMIT_CORE', soft: -1, hard: 2 ** 64 }],
  })
  assert.equal(stdout, 'unlimited\nunlimited\n')
})

test('a limit the kernel refuses is named', { skip }, async () => {
  await assert.rejects(
    withProcess('true', { rlimits: [{ type: 'RLIMIT_CORE', soft: 5, hard: 1 }] }),
    /process\.rlimits: cannot set RLIMIT_CORE to 5:1: prlimit64 .*EINVAL/,
  )
})

test('out-of-memory score and no new privileges', { skip }, async () => {
  const { stdout } = await withProcess('cat /proc/self/oom_score_adj; grep NoNew /proc/self/status', {
    oomScoreAdj: 77,
  })
  assert.match(stdout, /^77\nNoNewPrivs:\s+1\n$/)
})

test('scheduling policy, niceness and I/O priority', { skip }, async () => {
  const batch = await withProcess('chrt -p $$; nice; ionice', {
    scheduler: { policy: 'SCHED_BATCH', nice: 5, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
    ioPriority: { class: 'IOPRIO_CLASS_IDLE' },
  })
  assert.match(batch.stdout, /SCHED_BATCH\|SCHED_RESET_ON_FORK/)
  assert.match(batch.stdout, /\n5\nidle\n/)
  const idle = await withProcess('chrt -p $$; ionice -p $$', {
    scheduler: { policy: 'SCHED_IDLE' },
    ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 },
  })
  assert.match(idle.stdout, /SCHED_IDLE/)
  assert.match(idle.stdout, /best-effort: prio 6/)
  const nice = await withProcess('nice', { scheduler: { policy: 'SCHED_OTHER', nice: 7 } })
  assert.equal(nice.stdout, '7\n')
})

test('a policy that the kernel refuses is named', { skip }, async () => {
  await assert.rejects(
    withProcess('true', { scheduler: { policy: 'SCHED_ISO' } }),
    /process\.scheduler: cannot set \{"policy":"SCHED_ISO"\}: sched_setattr.*EINVAL/,
  )
})

test('real-time and deadline scheduling, where this control group may', { skip }, async () => {
  const kinds = [
    { policy: 'SCHED_FIFO', priority: 10 },
    { policy: 'SCHED_RR', priority: 20, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
    { policy: 'SCHED_DEADLINE', runtime: 1_000_000, deadline: 10_000_000, period: 100_000_000 },
  ]
  for (const scheduler of kinds) {
    const attempt = await bed
      .run(['chrt', '-p', '1'], {
        change: (spec) => {
          spec.process!.scheduler = scheduler
        },
      })
      .catch((error: Error) => error)
    // CONFIG_RT_GROUP_SCHED: without run time of its own a group of cgroup v1 has none.
    if (attempt instanceof Error) assert.match(attempt.message, /process\.scheduler: cannot set .*EPERM/)
    else assert.match(attempt.stdout, new RegExp(scheduler.policy))
  }
})

test('the execution domain', { skip }, async () => {
  const narrow = await withProcess('uname -m', {}, { personality: { domain: 'LINUX32' } })
  // A kernel without 32-bit programs has no other name to show.
  assert.equal(narrow.stdout, execFileSync('setarch', ['linux32', 'uname', '-m'], { encoding: 'utf8' }))
  const read = await withProcess('cat /proc/self/personality', {}, { personality: { domain: 'LINUX32' } })
  assert.equal(read.stdout, '00000008\n')
  const wide = await withProcess('uname -m', {}, { personality: { domain: 'LINUX' } })
  assert.match(wide.stdout, /64\n$/)
})

test('the memory policy', { skip }, async () => {
  const attempt = await withProcess(
    "head -1 /proc/self/numa_maps | cut -d' ' -f2",
    {},
    {
      memoryPolicy: { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] },
    },
  ).catch((error: Error) => error)
  // A kernel without CONFIG_NUMA has no such call.
  if (attempt instanceof Error) assert.match(attempt.message, /linux\.memoryPolicy: cannot set .*ENOSYS/)
  else assert.equal(attempt.stdout, 'bind=static:0\n')
})

test('a joining process has the processors it asks for', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['sleep', '100'])
  using _bundle = bundle
  await shim.create()
  await shim.start()
  const exec = async (execId: string, execCPUAffinity: NonNullable<OciProcess['execCPUAffinity']>) => {
    const asked: OciProcess = {
      args: ['sleep', '100'],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      env: ['PATH=/usr/bin'],
      execCPUAffinity,
    }
    const { pid } = await shim.exec({ execId, openStdin: false, process: asked })
    return /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]
  }
  assert.equal(await exec('final', { initial: '0', final: '0' }), '0')
  await assert.rejects(
    exec('none', { final: '4000' }),
    /process\.execCPUAffinity\.final: cannot set "4000": sched_setaffinity/,
  )
  await shim.killAll()
  await shim.exited
  await shim.release()
})

test('the working directory is made where it is missing', { skip }, async () => {
  const { stdout } = await withProcess('pwd', { cwd: '/a/new/place' })
  assert.equal(stdout, '/a/new/place\n')
})

test('names of the machine', { skip }, async () => {
  const { stdout } = await bed.run(script('hostname; cat /proc/sys/kernel/domainname'), {
    change: (spec) => {
      spec.hostname = 'inside'
      spec.domainname = 'example.org'
    },
  })
  assert.equal(stdout, 'inside\nexample.org\n')
})

test('sysctls of the container’s namespaces', { skip }, async () => {
  const { stdout } = await withProcess(
    'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward',
    {},
    { sysctl: { 'kernel.msgmax': '8000', 'net/ipv4/ip_forward': '1' } },
  )
  assert.equal(stdout, '8000\n1\n')
  await assert.rejects(
    withProcess('true', {}, { sysctl: { 'net.ipv4.no_such': '1' } }),
    /linux\.sysctl: cannot set net\.ipv4\.no_such to "1"/,
  )
})
