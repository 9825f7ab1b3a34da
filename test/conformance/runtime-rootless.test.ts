/**
 * A container of an ordinary user: the same cases for our own runtime, for runc and for crun. The user is made for a mount
 * namespace only, in which /etc/passwd and the lists of subordinate ids are other files: the machine's own stay as they are.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { OciIdMapping, OciSpec } from '../../engine/spec/oci.ts'
import { type RuntimeName, runtimes } from './config-case.ts'
import { buildOwnRuntime, findProgram, RuntimeBed, reasonAgainst, shellProgram, unified } from './runtime-bed.ts'

const root = process.getuid?.() === 0
const user = 54_321
const firstSubordinate = 700_000
const subordinates = 65_536

let place: string
let own: string
before(async () => {
  if (!root) return
  place = mkdtempSync(join(tmpdir(), 'drydock-own-rootless-'))
  // Wherever the sources lie: an ordinary user sees a copy of the program, with Node bound beside it.
  own = await buildOwnRuntime(place, join(place, 'node'))
  rmSync(join(place, 'node_modules'))
  mkdirSync(join(place, 'node_modules'))
  for (const name of ['node', 'passwd', 'subuid']) writeFileSync(join(place, name), '')
  writeFileSync(join(place, 'passwd'), `root:x:0:0::/root:/bin/sh\ndrydocker:x:${user}:${user}::/:/bin/sh\n`)
  writeFileSync(join(place, 'subuid'), `drydocker:${firstSubordinate}:${subordinates}\n`)
  spawnSync('chmod', ['-R', 'a+rX', place])
})
after(() => rmSync(place, { recursive: true, force: true }))

/** Called by root, the program runs as the user, in groups of nobody else, with the user's lists in /etc. */
function asUser(program: string, bed: RuntimeBed): string {
  spawnSync('chown', ['-R', `${user}:${user}`, bed.directory])
  const modules = resolve(import.meta.dirname, '../../node_modules')
  const binds = [
    [process.execPath, join(place, 'node')],
    [modules, join(place, 'node_modules')],
    [join(place, 'passwd'), '/etc/passwd'],
    [join(place, 'subuid'), '/etc/subuid'],
    [join(place, 'subuid'), '/etc/subgid'],
  ]
  const steps = binds.map(([from, to]) => `mount --bind ${from} ${to}`)
  // crun takes no machine with both versions of control groups.
  if (program.endsWith('/crun') && existsSync(`${unified}/cgroup.procs`)) steps.push(`umount -l ${unified}`)
  const become = `exec setpriv --reuid ${user} --regid ${user} --clear-groups --inh-caps=-all`
  const script = [...steps, `${become} "$0" "$@"`].join(' && ')
  return shellProgram(
    join(bed.directory, 'as-user'),
    `exec env -u XDG_RUNTIME_DIR unshare --mount sh -c '${script}' ${program} "$@"`,
  )
}

const onlyOwn: OciIdMapping[] = [{ containerID: 0, hostID: user, size: 1 }]
const withSubordinates: OciIdMapping[] = [...onlyOwn, { containerID: 1, hostID: firstSubordinate, size: subordinates }]

/** What an ordinary user may have: a user namespace, and nothing that another one owns. */
function rootless({ linux, mounts }: OciSpec, maps: readonly OciIdMapping[]): void {
  linux!.namespaces = [...linux!.namespaces!.filter(({ type }) => type !== 'user'), { type: 'user' }]
  linux!.uidMappings = [...maps]
  linux!.gidMappings = [...maps]
  delete linux!.cgroupsPath
  delete linux!.resources
  const index = mounts!.findIndex(({ destination }) => destination === '/sys/fs/cgroup')
  if (index >= 0) mounts!.splice(index, 1)
  const terminals = mounts!.find(({ destination }) => destination === '/dev/pts')!
  // The group of terminals is not among one's own ids.
  terminals.options = terminals.options!.filter((option) => maps.length > 1 || !option.startsWith('gid='))
}

const ways = [
  {
    title: 'with subordinate ids',
    maps: withSubordinates,
    skip: findProgram('newuidmap') === undefined && 'needs newuidmap',
  },
  { title: 'with the one id of the user', maps: onlyOwn, skip: false },
] as const

/** Every line of a map, blanks evened. */
const mapText = (maps: readonly OciIdMapping[]): string =>
  maps.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('')

function suite(name: RuntimeName, program: string | undefined): void {
  const newBed = (): RuntimeBed => new RuntimeBed(name === 'drydock-runtime' ? own : program!, asUser)

  for (const { title, maps, skip } of ways) {
    test(`run, ${title}`, { skip }, () => {
      using bed = newBed()
      const script = `id -u; sed 's/  */ /g; s/^ //' /proc/self/uid_map; touch /root/mine; stat -c %u /root/mine; exit 7`
      bed.configure(['sh', '-c', script], (spec) => rootless(spec, maps))
      const { status, stdout, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
      assert.equal(stdout, `0\n${mapText(maps)}0\n`, stderr)
      assert.equal(status, 7)
      assert.equal(bed.run(['list', '-q']).stdout, '', 'nothing is left')
    })

    test(`create, start, exec, kill, delete, ${title}`, { skip }, async () => {
      using bed = newBed()
      bed.configure(['sh', '-c', 'echo started > /root/mark; exec sleep 100'], (spec) => rootless(spec, maps))
      assert.equal(bed.create('a').status, 0)
      const { pid, status } = bed.state('a')
      assert.equal(status, 'created')
      assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\t${user}\t`, 'm'))
      assert.equal(bed.run(['start', 'a']).status, 0)
      await bed.until('a', 'running')
      const inside = bed.run(['exec', 'a', 'sh', '-c', 'id -u; hostname; cat /root/mark; readlink /proc/1/exe; exit 5'])
      assert.match(inside.stdout, /^0\n\S+\nstarted\n\/usr\/bin\/\S+\n$/, inside.stderr)
      assert.equal(inside.status, 5)
      assert.equal(bed.run(['kill', 'a', 'KILL']).status, 0)
      await bed.until('a', 'stopped')
      assert.equal(bed.run(['delete', 'a']).status, 0)
      assert.equal(bed.run(['list', '-q']).stdout, '')
    })
  }

  test('another user of the container is a subordinate id of the machine', { skip: ways[0].skip }, () => {
    using bed = newBed()
    bed.configure(['sleep', '100'], (spec) => {
      rootless(spec, withSubordinates)
      // runc gives no further groups to a container of an ordinary user.
      spec.process!.user = { uid: 5, gid: 6, ...(name === 'runc' ? {} : { additionalGids: [7] }) }
    })
    assert.equal(bed.detach('a').status, 0)
    const status = readFileSync(`/proc/${bed.state('a').pid}/status`, 'utf8')
    assert.match(status, new RegExp(`^Uid:\t${firstSubordinate + 4}\t`, 'm'))
    assert.match(status, new RegExp(`^Gid:\t${firstSubordinate + 5}\t`, 'm'))
    if (name !== 'runc') assert.match(status, new RegExp(`^Groups:\t${firstSubordinate + 6}`, 'm'))
    assert.equal(bed.run(['exec', '--user', '8:9', 'a', 'id', '-u']).stdout, '8\n')
  })

  test("ids that are nobody's to give are refused", () => {
    using bed = newBed()
    bed.configure(['true'], (spec) => rootless(spec, [...onlyOwn, { containerID: 1, hostID: 1, size: 10 }]))
    const { status, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
    assert.notEqual(status, 0)
    assert.match(stderr, /new[ug]idmap|uid_map|uidMappings|permitted/)
    assert.equal(bed.run(['list', '-q']).stdout, '')
  })

  if (name === 'drydock-runtime') ownCases(newBed)
}

function ownCases(newBed: () => RuntimeBed): void {
  test('without a right to control groups a limit is refused by its name, and pause has its reason', () => {
    using bed = newBed()
    bed.configure(['sleep', '100'], (spec) => {
      rootless(spec, onlyOwn)
      spec.linux!.resources = { memory: { limit: 64 * 2 ** 20 } }
    })
    const refused = bed.run(['run', '--bundle', bed.bundle, 'a'])
    assert.notEqual(refused.status, 0)
    assert.match(refused.stderr, /linux\.resources\.memory: the container has no control group/)
    bed.configure(['sleep', '100'], (spec) => rootless(spec, onlyOwn))
    assert.equal(bed.detach('a').status, 0)
    assert.match(bed.run(['pause', 'a']).stderr, /pause: the container has no control group/)
    assert.equal(bed.state('a').status, 'running')
    assert.equal(bed.run(['delete', '--force', 'a']).status, 0)
  })

  test('a control group that is not theirs is refused, and nothing is left', () => {
    using bed = newBed()
    bed.configure(['true'], (spec) => {
      rootless(spec, onlyOwn)
      spec.linux!.cgroupsPath = '/drydock-rootless-denied'
    })
    const { status, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
    assert.notEqual(status, 0)
    assert.match(stderr, /drydock-rootless-denied.*(EACCES|denied)|EACCES.*drydock-rootless-denied/)
    assert.equal(bed.run(['list', '-q']).stdout, '')
  })

  test('in a control group that was given to them, limits hold', () => {
    using bed = newBed()
    using given = new GivenGroup()
    bed.configure(['sleep', '100'], (spec) => {
      rootless(spec, onlyOwn)
      spec.linux!.cgroupsPath = `${given.path}/c`
      spec.linux!.resources = { pids: { limit: 33 } }
    })
    const { status, stderr } = given.detach(bed, 'a')
    assert.equal(status, 0, stderr)
    const { pid } = bed.state('a')
    assert.ok(readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`${given.path}/c`))
    assert.equal(readFileSync(join(given.limits, 'c/pids.max'), 'utf8'), '33\n')
    assert.equal(bed.run(['pause', 'a']).status, 0)
    assert.equal(bed.state('a').status, 'paused')
    assert.equal(bed.run(['resume', 'a']).status, 0)
    assert.equal(bed.run(['delete', '--force', 'a']).status, 0)
    assert.ok(!existsSync(join(given.limits, 'c')))
  })
}

/** A group that root made and the user owns, as systemd gives one to everybody who logs in. */
class GivenGroup implements Disposable {
  readonly path = `/drydock-rootless-${process.pid}`
  readonly #directories: readonly string[]

  constructor() {
    const group = detectCgroups().group(`${this.path}/caller`)
    group.create()
    this.#directories = [...new Set(Object.values(group.directories))]
    for (const directory of this.#directories) {
      for (const each of [dirname(directory), directory]) {
        chownSync(each, user, user)
        for (const name of ['cgroup.procs', 'tasks', 'cgroup.subtree_control'])
          if (existsSync(join(each, name))) chownSync(join(each, name), user, user)
      }
    }
  }

  /** Where the limits of numbers of processes are. */
  get limits(): string {
    return dirname(this.#directories.find((directory) => existsSync(join(directory, 'pids.max')))!)
  }

  /** From a group below it: on v2 only who is in it may lead others there. */
  detach(bed: RuntimeBed, id: string): ReturnType<RuntimeBed['run']> {
    const enter = this.#directories.map((directory) => `echo $$ > ${directory}/cgroup.procs`).join('; ')
    const program = shellProgram(join(bed.directory, 'from-group'), `${enter}; exec ${bed.program} "$@"`)
    const log = join(bed.directory, 'log')
    const words = [...bed.global, '--log', log, 'run', '--detach', '--bundle', bed.bundle, id]
    const { status } = spawnSync(program, words, { stdio: 'ignore' })
    return { status, stdout: '', stderr: existsSync(log) ? readFileSync(log, 'utf8') : '' }
  }

  [Symbol.dispose](): void {
    detectCgroups().group(this.path).remove()
  }
}

for (const name of runtimes)
  describe(name, { skip: (!root && 'needs root') || reasonAgainst(name) }, () => suite(name, findProgram(name)))
