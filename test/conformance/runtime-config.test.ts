/** What config.json asks for, as the container sees it: the same cases for our own runtime, for runc and for crun. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { OciHook } from '../../engine/spec/oci.ts'
import {
  allCapabilities,
  type Case,
  inUserNamespace,
  olderRunc,
  type RuntimeName,
  runCases,
  runtimes,
} from './config-case.ts'
import { buildOwnRuntime, findProgram, RuntimeBed, reasonAgainst } from './runtime-bed.ts'

const root = process.getuid?.() === 0

let own: string
let place: string
before(async () => {
  place = mkdtempSync(join(tmpdir(), 'drydock-own-config-'))
  own = await buildOwnRuntime(place)
})
after(() => rmSync(place, { recursive: true, force: true }))

/** Reasons against joining a user namespace without maps. */
const joins: NonNullable<Case['not']> = { crun: 'crun asks for maps', ...olderRunc(2, 'runc asks for maps') }

const cases: readonly Case[] = [
  {
    name: 'user, groups, umask',
    script: 'id -u; id -g; id -G; umask',
    change: ({ process }) => {
      process!.user = { uid: 1001, gid: 1002, umask: 0o037, additionalGids: [5, 6] }
    },
    prints: '1001\n1002\n1002 5 6\n0037\n',
  },
  {
    name: 'capabilities of a user other than root are the ambient ones',
    script: "grep -E 'Cap(Prm|Bnd|Amb)' /proc/self/status",
    change: ({ process }) => {
      process!.user = { uid: 1001, gid: 1002 }
      process!.capabilities = {
        ...allCapabilities('CAP_KILL', 'CAP_CHOWN'),
        inheritable: ['CAP_KILL'],
        ambient: ['CAP_KILL'],
      }
    },
    prints: 'CapPrm:\t0000000000000020\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000020\n',
  },
  {
    name: 'what is not inheritable cannot be ambient, and is no failure',
    script: "grep -E 'Cap(Prm|Inh|Amb)' /proc/self/status",
    change: ({ process }) => {
      process!.capabilities = {
        ...allCapabilities('CAP_KILL', 'CAP_CHOWN'),
        inheritable: ['CAP_CHOWN'],
        ambient: ['CAP_KILL', 'CAP_CHOWN'],
      }
    },
    prints: 'CapInh:\t0000000000000001\nCapPrm:\t0000000000000021\nCapAmb:\t0000000000000001\n',
  },
  {
    name: 'a capability that nobody knows is no failure',
    script: 'echo runs',
    change: ({ process }) => {
      process!.capabilities = allCapabilities('CAP_KILL', 'CAP_FLY')
    },
    prints: 'runs\n',
  },
  {
    name: 'resource limits',
    script: 'ulimit -Sn; ulimit -Hn; ulimit -c',
    change: ({ process }) => {
      process!.rlimits = [
        { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ]
    },
    prints: '100\n200\n0\n',
  },
  {
    name: 'out-of-memory score, no new privileges',
    script: 'cat /proc/self/oom_score_adj; grep NoNew /proc/self/status',
    change: ({ process }) => {
      process!.oomScoreAdj = 321
      process!.noNewPrivileges = true
    },
    prints: '321\nNoNewPrivs:\t1\n',
  },
  {
    name: 'a working directory that is missing is made',
    script: 'pwd',
    change: ({ process }) => {
      process!.cwd = '/made/for/it'
    },
    prints: '/made/for/it\n',
  },
  {
    name: 'sysctls of a namespace of its own',
    script: 'cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward',
    change: ({ linux }) => {
      linux!.sysctl = { 'kernel.shmmni': '4000', 'net.ipv4.ip_forward': '1' }
    },
    prints: '4000\n1\n',
  },
  {
    name: 'a sysctl of the whole machine',
    script: 'true',
    change: ({ linux }) => {
      linux!.sysctl = { 'vm.swappiness': '10' }
    },
  },
  {
    name: 'host name',
    script: 'hostname',
    change: (spec) => {
      spec.hostname = 'conforms'
    },
    prints: 'conforms\n',
  },
  {
    name: 'default devices and links',
    script:
      'cd /dev; for n in null zero full random urandom tty; do stat -c %n:%t:%T:%a $n; done; readlink fd stdin ptmx',
    prints:
      'null:1:3:666\nzero:1:5:666\nfull:1:7:666\nrandom:1:8:666\nurandom:1:9:666\ntty:5:0:666\n/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n',
  },
  {
    name: 'devices that are asked for',
    script: 'stat -c %n:%F:%t:%T:%a:%u:%g /dev/asked /dev/pipe',
    change: ({ linux }) => {
      linux!.devices = [
        { type: 'c', path: '/dev/asked', major: 10, minor: 200, fileMode: 0o640, uid: 3, gid: 4 },
        { type: 'p', path: '/dev/pipe', fileMode: 0o600, uid: 0, gid: 0 },
      ]
    },
    prints: '/dev/asked:character special file:a:c8:640:3:4\n/dev/pipe:fifo:0:0:600:0:0\n',
  },
  {
    name: 'device rules: the default devices always, another only by a rule',
    script:
      'head -c1 /dev/zero | wc -c; (cat /dev/mem) 2>&1 | grep -o "Operation not permitted"; head -c1 /dev/allowed | wc -c',
    change: ({ linux, process }) => {
      process!.capabilities = allCapabilities('CAP_SYS_RAWIO')
      linux!.devices = [
        { type: 'c', path: '/dev/mem', major: 1, minor: 1 },
        { type: 'c', path: '/dev/allowed', major: 1, minor: 5 },
      ]
      linux!.resources = { devices: [{ allow: false, access: 'rwm' }] }
    },
    prints: '1\nOperation not permitted\n1\n',
  },
  {
    name: 'masked and read-only paths',
    script: 'cat /root/file; ls /root/dir; touch /root/ro/x 2>&1 | grep -o "Read-only file system"',
    change: ({ linux }, bed) => {
      for (const name of ['dir', 'ro']) mkdirSync(join(bed.bundle, 'rootfs/root', name))
      writeFileSync(join(bed.bundle, 'rootfs/root/file'), 'secret')
      writeFileSync(join(bed.bundle, 'rootfs/root/dir/file'), 'secret')
      linux!.maskedPaths = ['/root/file', '/root/dir', '/no/such']
      linux!.readonlyPaths = ['/root/ro', '/no/such']
    },
    prints: 'Read-only file system\n',
  },
  {
    name: 'a user namespace',
    script: 'id -u; cat /proc/self/uid_map | tr -s " "; touch /root/mine && stat -c %u /root/mine',
    change: inUserNamespace,
    prints: '0\n 0 100000 65536\n0\n',
  },
  {
    name: 'a namespace that is named twice',
    script: 'true',
    change: ({ linux }) => {
      linux!.namespaces!.push({ type: 'mount' })
    },
    not: { crun: 'makes it once' },
  },
  {
    name: 'a namespace at the path of another kind',
    script: 'true',
    change: ({ linux }) => {
      linux!.namespaces = linux!.namespaces!.map((one) =>
        one.type === 'ipc' ? { type: 'ipc', path: '/proc/self/ns/net' } : one,
      )
    },
  },
  {
    name: 'no command',
    script: 'true',
    change: ({ process }) => {
      process!.args = []
    },
  },
  {
    name: 'a relative working directory',
    script: 'true',
    change: ({ process }) => {
      process!.cwd = 'tmp'
    },
    not: { crun: 'takes it from the root' },
  },
]

const hook = (text: string): OciHook => ({ path: '/bin/sh', args: ['sh', '-c', text] })
const kinds = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const

const untoldFlags: NonNullable<Case['not']> = { crun: 'crun tells none', ...olderRunc(2, 'runc tells none') }

function suite(name: RuntimeName, program: string | undefined): void {
  const newBed = (): RuntimeBed => new RuntimeBed(name === 'drydock-runtime' ? own : program!)

  runCases(name, newBed, cases)

  test('hooks of all kinds, in their order, with the state on their input', () => {
    using bed = newBed()
    const order = join(bed.directory, 'order')
    bed.configure(['true'], (spec) => {
      spec.mounts!.push({ destination: bed.directory, type: 'bind', source: bed.directory, options: ['rbind', 'rw'] })
      spec.hooks = Object.fromEntries(
        kinds.map((kind) => [kind, [hook(`echo "${kind} $(cat | tr -d '\\n\\t ')" >> ${order}`)]]),
      )
    })
    assert.equal(bed.create('a').status, 0)
    assert.equal(bed.run(['start', 'a']).status, 0)
    assert.equal(bed.run(['delete', '--force', 'a']).status, 0)
    const lines = readFileSync(order, 'utf8').trim().split('\n')
    const seen = lines.map((line) => line.split(' ')[0])
    // The others do not wait for the one before they run the next.
    if (name !== 'drydock-runtime') assert.deepEqual(seen.toSorted(), kinds.toSorted())
    else assert.deepEqual(seen, kinds)
    for (const line of lines) {
      const state = JSON.parse(line.slice(line.indexOf(' '))) as Record<string, unknown>
      assert.equal(state.id, 'a')
      // crun says where its own process is by then.
      if (name !== 'crun') assert.equal(state.bundle, bed.bundle)
      assert.ok(typeof state.ociVersion === 'string' && typeof state.status === 'string')
    }
  })

  for (const kind of ['createRuntime', 'createContainer'] as const)
    test(`a failing ${kind} hook fails the creation`, () => {
      using bed = newBed()
      bed.configure(['true'], (spec) => {
        spec.hooks = { [kind]: [hook('exit 3')] }
      })
      assert.notEqual(bed.create('a').status, 0)
      assert.equal(bed.run(['list', '-q']).stdout, '')
    })

  test('the flags of a filter are in the debug log', { skip: untoldFlags[name] ?? false }, () => {
    for (const [flags, number] of [
      [undefined, 4],
      [[], 0],
      [['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC'], 2],
    ] as const) {
      // With runc its libseccomp decides what comes without a word.
      if (flags === undefined && name === 'runc') continue
      using bed = newBed()
      bed.configure(['true'], ({ linux }) => {
        linux!.seccomp = {
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ names: ['swapon'], action: 'SCMP_ACT_ERRNO' }],
        }
        if (flags !== undefined) linux!.seccomp.flags = [...flags]
      })
      const { status, stderr } = bed.run(['--debug', 'run', '--bundle', bed.bundle, 'a'])
      assert.equal(status, 0, stderr)
      assert.match(stderr, new RegExp(`"seccomp filter flags: ${number}"`))
    }
  })

  test('a failing startContainer hook keeps the program from running', () => {
    using bed = newBed()
    bed.configure(['touch', '/root/ran'], (spec) => {
      spec.hooks = { startContainer: [hook('exit 3')] }
    })
    bed.create('a')
    bed.run(['start', 'a'])
    assert.ok(!existsSync(join(bed.bundle, 'rootfs/root/ran')))
  })

  test('another container’s namespaces, of users and of groups, from a group of its own', {
    skip: joins[name] ?? false,
  }, () => {
    using bed = newBed()
    const shared = ['user', 'cgroup', 'network', 'ipc', 'uts'] as const
    bed.configure(['sleep', '100'], (spec) => {
      inUserNamespace(spec, bed)
      spec.linux!.namespaces = [...spec.linux!.namespaces!.filter(({ type }) => type !== 'cgroup'), { type: 'cgroup' }]
    })
    bed.detach('a')
    const { pid } = bed.state('a')
    const expected = ['user', 'cgroup', 'net'].map((link) => `${readlinkSync(`/proc/${pid}/ns/${link}`)}\n`)
    bed.configure(['sh', '-c', 'readlink /proc/self/ns/user /proc/self/ns/cgroup /proc/self/ns/net'], (spec) => {
      inUserNamespace(spec, bed)
      delete spec.linux!.uidMappings
      delete spec.linux!.gidMappings
      delete spec.hostname
      spec.linux!.cgroupsPath += '2'
      const own = spec.linux!.namespaces!.filter(({ type }) => !shared.some((one) => one === type))
      const paths = shared.map((type) => ({ type, path: `/proc/${pid}/ns/${type === 'network' ? 'net' : type}` }))
      spec.linux!.namespaces = [...own, ...paths]
    })
    const { stdout, stderr } = bed.run(['run', '--bundle', bed.bundle, 'b'])
    assert.equal(stdout, expected.join(''), stderr)
  })

  test('a failing poststop hook keeps nobody from deleting', () => {
    using bed = newBed()
    bed.configure(['true'], (spec) => {
      spec.hooks = { poststop: [hook('exit 3')] }
    })
    bed.create('a')
    // crun deletes it, too, and 1.21 ends by a signal then.
    const { status } = bed.run(['delete', '--force', 'a'])
    if (name !== 'crun') assert.equal(status, 0)
    assert.equal(bed.run(['list', '-q']).stdout, '')
  })
}

for (const name of runtimes)
  describe(name, { skip: (!root && 'needs root') || reasonAgainst(name) }, () => suite(name, findProgram(name)))
