/** Every kind of namespace: new, found at a path, or the runtime's own; runtime-spec config-linux.md "Namespaces". */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { namespaceKinds } from '../../engine/kernel/namespaces.ffi.ts'
import type { OciNamespaceType, OciSpec } from '../../engine/spec/oci.ts'
import { ShimBed, script } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
before(async () => {
  if (skip === false) bed = await ShimBed.start()
})
after(() => bed?.close())

/** A process in namespaces of its own, that ends with the scope. */
class Elsewhere implements Disposable {
  readonly pid: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child
    this.pid = pid
  }

  static async start(...options: string[]): Promise<Elsewhere> {
    const child = spawn('unshare', [...options, '--kill-child', '--fork', 'sh', '-c', 'echo ready; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => child.stdout!.once('data', resolve))
    const inside = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
    return new Elsewhere(child, Number(inside))
  }

  path(link: string): string {
    return `/proc/${this.pid}/ns/${link}`
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}

function setNamespace(spec: OciSpec, type: OciNamespaceType, path?: string): void {
  const rest = spec.linux!.namespaces!.filter((one) => one.type !== type)
  spec.linux!.namespaces = [...rest, path === undefined ? { type } : { type, path }]
}

function dropNamespace(spec: OciSpec, type: OciNamespaceType): void {
  spec.linux!.namespaces = spec.linux!.namespaces!.filter((one) => one.type !== type)
  if (type === 'uts') delete spec.hostname
}

/** The container's namespaces as its own process sees them, by the names of /proc/PID/ns. */
async function linksOf(change: (spec: OciSpec) => void): Promise<Record<string, string>> {
  const { stdout } = await bed.run(script('cd /proc/self/ns; for n in *; do echo $n $(readlink $n); done'), {
    change,
    plainRoot: { owner: 0 },
  })
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  )
}

const others = namespaceKinds.filter(({ type }) => type !== 'user')

test('each kind can be new', { skip }, async () => {
  const links = await linksOf((spec) => {
    for (const { type } of others) setNamespace(spec, type)
  })
  for (const { link } of others) assert.notEqual(links[link], readlinkSync(`/proc/self/ns/${link}`), link)
})

for (const { type, link } of others)
  test(`without ${type} the container is in the runtime’s own`, { skip }, async () => {
    const links = await linksOf((spec) => dropNamespace(spec, type))
    assert.equal(links[link], readlinkSync(`/proc/self/ns/${link}`))
  })

test('each kind can be joined at a path', { skip }, async () => {
  using elsewhere = await Elsewhere.start('--pid', '--net', '--ipc', '--uts', '--cgroup', '--time', '--mount')
  for (const { type, link } of others) {
    const links = await linksOf((spec) => {
      setNamespace(spec, type, elsewhere.path(link))
      if (type === 'uts') delete spec.hostname
    })
    assert.equal(links[link], readlinkSync(elsewhere.path(link)), type)
  }
})

test('a path of another kind, or of none, is refused', { skip }, async () => {
  for (const [path, words] of [
    ['/proc/self/ns/ipc', /linux\.namespaces\[\d\]: cannot join the network namespace at .*: it is of the kind ipc/],
    ['/etc/passwd', /it is no namespace/],
    ['/no/such', /cannot join the network namespace at "\/no\/such"/],
  ] as const) {
    const { bundle, shim } = await bed.launch(['true'], { change: (spec) => setNamespace(spec, 'network', path) })
    using _bundle = bundle
    await assert.rejects(shim.create(), words)
  }
})

const maps = [{ containerID: 0, hostID: 100_000, size: 65536 }]

/** A group that the map does not have. */
function withoutGroupFive(spec: OciSpec): void {
  for (const mount of spec.mounts!) mount.options = mount.options!.filter((option) => option !== 'gid=5')
}

function inUserNamespace(spec: OciSpec): void {
  setNamespace(spec, 'user')
  spec.linux!.uidMappings = maps
  spec.linux!.gidMappings = maps
}

test('a user namespace is joined, and what is new is owned by it', { skip }, async () => {
  using elsewhere = await Elsewhere.start('--user', '--map-root-user', '--net')
  const { stdout, exitCode } = await bed.run(
    script(
      'readlink /proc/self/ns/user; readlink /proc/self/ns/net; cat /proc/self/uid_map; hostname inner && hostname; id -u',
    ),
    {
      plainRoot: { owner: 0 },
      change: (spec) => {
        withoutGroupFive(spec)
        setNamespace(spec, 'user', elsewhere.path('user'))
        setNamespace(spec, 'network', elsewhere.path('net'))
        spec.process!.capabilities!.effective!.push('CAP_SYS_ADMIN')
        spec.process!.capabilities!.permitted!.push('CAP_SYS_ADMIN')
        spec.process!.capabilities!.bounding!.push('CAP_SYS_ADMIN')
      },
    },
  )
  const [user, net, map, hostname, id] = stdout.trim().split('\n')
  assert.equal(user, readlinkSync(elsewhere.path('user')))
  assert.equal(net, readlinkSync(elsewhere.path('net')))
  assert.match(map!, /^\s*0\s+0\s+1$/)
  assert.equal(hostname, 'inner', 'the new UTS namespace belongs to the joined user namespace')
  assert.equal(id, '0')
  assert.equal(exitCode, 0)
})

test('with a user namespace of its own the container still joins one of the runtime’s', { skip }, async () => {
  using elsewhere = await Elsewhere.start('--net', '--ipc')
  const { bundle, shim } = await bed.launch(['sleep', '100'], {
    plainRoot: { owner: 100_000 },
    change: (spec) => {
      inUserNamespace(spec)
      setNamespace(spec, 'ipc', elsewhere.path('ipc'))
    },
  })
  using _bundle = bundle
  const { pid } = await shim.create()
  await shim.start()
  assert.equal(readlinkSync(`/proc/${pid}/ns/ipc`), readlinkSync(elsewhere.path('ipc')))
  assert.notEqual(readlinkSync(`/proc/${pid}/ns/user`), readlinkSync('/proc/self/ns/user'))
  assert.match(readFileSync(`/proc/${pid}/uid_map`, 'utf8'), /0\s+100000\s+65536/)
  await shim.killAll()
  await shim.exited
  await shim.release()
})

test('the clocks of a time namespace are off by what was asked', { skip }, async () => {
  const { stdout } = await bed.run(script('cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime'), {
    change: (spec) => {
      setNamespace(spec, 'time')
      spec.linux!.timeOffsets = { boottime: { secs: 1_000_000 }, monotonic: { secs: 1000, nanosecs: 5 } }
    },
  })
  const [monotonic, boottime, uptime] = stdout.trim().split('\n')
  assert.match(monotonic!, /monotonic\s+1000\s+5/)
  assert.match(boottime!, /boottime\s+1000000\s+0/)
  assert.ok(Number(uptime) > 1_000_000)
})

test('an impossible clock offset is refused by its name', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['true'], {
    change: (spec) => {
      setNamespace(spec, 'time')
      spec.linux!.timeOffsets = { boottime: { secs: -(10 ** 12) } }
    },
  })
  using _bundle = bundle
  await assert.rejects(shim.create(), /linux\.timeOffsets\.boottime/)
})

test('without a mount namespace the root is a directory, for exec as well, and no mount is left', {
  skip,
}, async () => {
  const { bundle, shim } = await bed.launch(['sleep', '100'], {
    plainRoot: { owner: 0 },
    change: (spec) => dropNamespace(spec, 'mount'),
  })
  using _bundle = bundle
  const rootfs = join(bundle.directory, 'rootfs')
  const { pid } = await shim.create()
  await shim.start()
  assert.equal(readlinkSync(`/proc/${pid}/ns/mnt`), readlinkSync('/proc/self/ns/mnt'))
  assert.equal(readlinkSync(`/proc/${pid}/root`), rootfs)
  const process = { args: ['sleep', '1000'], cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/usr/bin'] }
  const exec = await shim.exec({ execId: 'e', process, openStdin: false })
  assert.equal(readlinkSync(`/proc/${exec.pid}/root`), rootfs)
  await shim.killAll()
  await shim.exited
  await shim.release()
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(rootfs), 'mounts are left on the machine')
})

test('without a mount namespace nothing may change the machine’s tree', { skip }, async () => {
  const cases: [change: (spec: OciSpec) => void, words: RegExp][] = [
    [(spec) => (spec.root.readonly = true), /root\.readonly: needs a mount namespace/],
    [(spec) => (spec.linux!.rootfsPropagation = 'private'), /linux\.rootfsPropagation: needs a mount namespace/],
    [(spec) => (spec.root.path = '/'), /mounts: needs a mount namespace/],
  ]
  for (const [change, words] of cases) {
    const { bundle, shim } = await bed.launch(['true'], {
      plainRoot: { owner: 0 },
      change: (spec) => {
        dropNamespace(spec, 'mount')
        change(spec)
      },
    })
    using _bundle = bundle
    await assert.rejects(shim.create(), words)
  }
})
