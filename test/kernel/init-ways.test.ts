/** A container's first process is made by a row of calls, or by a fork where a row will not do: it finds the same. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { OciProcess, OciSpec } from '../../engine/spec/oci.ts'
import type { BundleOptions } from './bundle.ts'
import { byFork, seccomp, users } from './row-and-fork.ts'
import { collect, ShimBed, script, unframe } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
before(async () => {
  if (skip === false) bed = await ShimBed.start()
})
after(() => bed?.close())

/** All that a process can know of itself and of its tree, but for numbers that are anew each time. */
const look = [
  'id -u; id -g; id -G; umask; pwd; hostname; env | sort',
  'grep -vE "^(Vm|Rss|SigQ|Hugetlb|Threads|.*ctxt|Mems|Cpus)" /proc/self/status',
  'cat /proc/self/limits /proc/self/oom_score_adj; sed "s/[0-9a-f]\\{12,\\}//" /proc/self/cgroup; echo $$',
  'for fd in /proc/self/fd/*; do readlink $fd | sed "s/[0-9]*//g"; done',
  'cut -d " " -f 4- /proc/self/mountinfo | sed "s/\\(shared\\|master\\):[0-9]*//; s#/var/tmp/drydock-bundle-[^/]*##g" | sort',
  'ls -lnR /dev --time-style=+; ls -ln / --time-style=+ | grep -v proc; ls /proc/acpi /proc/scsi 2>&1; cat /proc/keys | wc -l',
  'cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ping_group_range; ls /sys/class/net; stat -L -c %U /proc/self/fd/1',
  'echo to the other >&2',
].join('; ')

type Seen = { stdout: string; stderr: string; exitCode: number; steps: string[]; failure: string }

const none: Seen = { stdout: '', stderr: '', exitCode: -1, steps: [], failure: '' }

async function run(options: BundleOptions, given: Partial<OciProcess>): Promise<Seen> {
  const change = (spec: OciSpec): void => {
    options.change?.(spec)
    Object.assign(spec.process!, given)
  }
  const { bundle, shim } = await bed.launch(script(look), { ...options, change })
  using _bundle = bundle
  try {
    const steps = (await shim.create()).spans.map(({ name }) => name)
    const output = collect(await shim.attach({ stdin: false, stdout: true, stderr: true }))
    await shim.start()
    const { exitCode } = await shim.exited
    return { ...none, ...unframe(await output), exitCode, steps }
  } catch (error) {
    return { ...none, failure: (error as Error).message }
  } finally {
    await shim.release()
  }
}

const ofRow = 'enter namespaces'

async function bothWays(options: BundleOptions, given: Partial<OciProcess> = {}): Promise<{ row: Seen; fork: Seen }> {
  const [row, fork] = [await run(options, given), await run(options, { ...given, ...byFork })]
  assert.deepEqual({ ...row, steps: [] }, { ...fork, steps: [] })
  assert.ok(!fork.steps.includes(ofRow))
  return { row, fork }
}

/** Much of what a request can ask for. */
const rich = (spec: OciSpec): void => {
  spec.hostname = 'named'
  spec.domainname = 'example'
  spec.root.readonly = true
  spec.mounts!.push(
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/etc/hostname', type: 'bind', source: '/etc/hostname', options: ['rbind', 'ro', 'rprivate'] },
    { destination: '/new/place', type: 'tmpfs', source: 'tmpfs', options: ['noexec', 'size=64k', 'mode=1777'] },
  )
  spec.linux!.sysctl = { 'net.ipv4.ping_group_range': '0 7' }
  spec.linux!.maskedPaths = ['/proc/keys', '/proc/acpi', '/proc/scsi', '/proc/nothing']
  spec.linux!.readonlyPaths = ['/proc/sys', '/proc/bus']
  spec.linux!.rootfsPropagation = 'rprivate'
  spec.linux!.devices = [{ path: '/dev/extra', type: 'c', major: 1, minor: 5, fileMode: 0o640, uid: 3, gid: 4 }]
  seccomp(spec)
}

for (const [place, change] of Object.entries({ 'a plain container': undefined, 'one with much of it': rich }))
  for (const [name, given] of Object.entries(users))
    test(`${place}, as ${name}: a row and a fork make the same`, { skip }, async () => {
      const { row } = await bothWays(change === undefined ? {} : { change }, given)
      assert.deepEqual([row.exitCode, row.stderr], [0, 'to the other\n'])
      assert.ok(row.steps.includes(ofRow))
    })

test('what cannot be done is told in the same words', { skip }, async () => {
  const refused: readonly (readonly [RegExp, Partial<OciProcess>])[] = [
    [/exec: "nothing": executable file not found in \$PATH/, { args: ['nothing'] }],
    [/exec: "\/tmp": is a directory/, { args: ['/tmp'] }],
    [/exec: "\/etc\/passwd": permission denied/, { args: ['/etc/passwd'], user: { uid: 1, gid: 1 } }],
    [/"\/etc\/passwd" is not a directory/, { cwd: '/etc/passwd' }],
  ]
  for (const [words, given] of refused) assert.match((await bothWays({}, given)).row.failure, words)
  const covers = (spec: OciSpec): void => {
    spec.mounts!.push({ destination: '/proc/sys', type: 'tmpfs', source: 'tmpfs', options: [] })
  }
  assert.match((await bothWays({ change: covers })).row.failure, /mounts\[\d\] \(\/proc\/sys\): .*inside of \/proc/)
})

test('a program that the user may not execute is passed over along PATH', { skip }, async () => {
  using cleanup = new DisposableStack()
  const place = cleanup.adopt(mkdtempSync('/var/tmp/drydock-path-'), (path) => rmSync(path, { recursive: true }))
  writeFileSync(`${place}/sh`, '#!/usr/bin/sh\necho the wrong one\n', { mode: 0o700 })
  chmodSync(place, 0o755)
  const change = (spec: OciSpec): void => {
    spec.mounts!.push({ destination: '/shut', type: 'bind', source: place, options: ['rbind', 'ro'] })
  }
  const given = { env: ['PATH=/shut:/usr/bin'], args: ['sh', '-c', 'echo the right one'] }
  const first = async (user: OciProcess['user']): Promise<string> =>
    (await bothWays({ change }, { ...given, user })).row.stdout
  assert.equal(await first({ uid: 1, gid: 1 }), 'the right one\n')
  assert.equal(await first({ uid: 0, gid: 0 }), 'the wrong one\n')
})

test('the maker comes back to where it was, with nothing in its hands', { skip }, async () => {
  const held = async (given: Partial<OciProcess>) => {
    const { bundle, shim } = await bed.launch(['sleep', '100'], {
      change: (spec) => {
        rich(spec)
        Object.assign(spec.process!, given)
      },
    })
    using _bundle = bundle
    const { pid } = await shim.create()
    await shim.start()
    const namespaces = readdirSync('/proc/self/ns').map((name) => readlinkSync(`/proc/${shim.pid}/ns/${name}`))
    const own = readdirSync('/proc/self/ns').map((name) => readlinkSync(`/proc/self/ns/${name}`))
    assert.deepEqual(namespaces, own)
    assert.deepEqual([readlinkSync(`/proc/${shim.pid}/root`), readlinkSync(`/proc/${shim.pid}/cwd`)], ['/', '/'])
    assert.equal(readFileSync(`/proc/${shim.pid}/mountinfo`, 'utf8'), readFileSync('/proc/self/mountinfo', 'utf8'))
    const status = readFileSync(`/proc/${shim.pid}/status`, 'utf8')
    assert.deepEqual(/^Uid:.*$/m.exec(status)?.[0].split('\t').slice(1), ['0', '0', '0', '0'])
    assert.equal(
      readFileSync(`/proc/${shim.pid}/oom_score_adj`, 'utf8'),
      readFileSync('/proc/self/oom_score_adj', 'utf8'),
    )
    const descriptors = readdirSync(`/proc/${shim.pid}/fd`).length
    assert.notEqual(readlinkSync(`/proc/${pid}/ns/mnt`), readlinkSync(`/proc/${shim.pid}/ns/mnt`))
    await shim.killAll()
    await shim.exited
    await shim.release()
    return descriptors
  }
  const asUser: Partial<OciProcess> = { user: { uid: 1, gid: 2, additionalGids: [3] }, oomScoreAdj: 200 }
  assert.equal(await held(asUser), await held({ ...asUser, ...byFork }))
})

test('killed before it is started, it leaves nothing, and the shim says so', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['sleep', '100'])
  using _bundle = bundle
  const { pid } = await shim.create()
  process.kill(pid, 'SIGKILL')
  const { exitCode } = await shim.exited
  assert.equal(exitCode, 137)
  await assert.rejects(shim.start(), /ended/)
  await shim.release()
})

test('a shim that is killed takes the waiting process along', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['sleep', '100'])
  using _bundle = bundle
  const { pid } = await shim.create()
  process.kill(shim.pid, 'SIGKILL')
  assert.equal((await shim.exited).shimLost, true)
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5))
})

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z')
  } catch {
    return false
  }
}
