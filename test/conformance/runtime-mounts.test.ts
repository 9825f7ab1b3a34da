/** The mounts of config.json, as the container sees them: the same cases for our own runtime, for runc and for crun. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { OciMount, OciSpec } from '../../engine/spec/oci.ts'
import {
  type Case,
  inUserNamespace,
  olderRunc,
  type RuntimeName,
  runCases,
  runtimes,
  tmpfs,
  userMaps,
} from './config-case.ts'
import { buildOwnRuntime, findProgram, RuntimeBed, reasonAgainst } from './runtime-bed.ts'

const root = process.getuid?.() === 0

let own: string
let place: string
before(async () => {
  place = mkdtempSync(join(tmpdir(), 'drydock-own-mounts-'))
  own = await buildOwnRuntime(place)
})
after(() => rmSync(place, { recursive: true, force: true }))

/** What runc does not do of a root's propagation. */
const runcRoots: Readonly<Record<string, string>> = {
  shared: 'leaves it private where the root of the machine is',
  unbindable: 'cannot bind its own root then',
}

const bind = (source: string, destination: string, ...options: string[]): OciMount => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', ...options],
})

const flagsOf = (point: string): string => `sed -nE 's#^([^ ]+ ){4}${point} ([^ ]+) .*#\\2#p' /proc/self/mountinfo`

type Flags = { has: string; asked: string[]; user?: true; shows?: string; not?: Case['not'] }

/** A bind of a mount that has some flags on the machine, asked for with others. */
const flagCase = ({ has, asked, user, shows, not }: Flags): Case => ({
  name: `a bind of ${has}, ${asked.length === 0 ? 'without an option' : `as ${asked}`}${user ? ', in a user namespace' : ''}`,
  script: flagsOf('/bound'),
  change: (spec, bed) => {
    spec.mounts!.push(bind(bed.hostMount(has), '/bound', ...asked))
    if (user) inUserNamespace(spec, bed)
  },
  ...(shows === undefined ? {} : { prints: `${shows}\n` }),
  ...(not === undefined ? {} : { not }),
})

const passesOver = { crun: 'keeps a flag of the source without a word' }
const loses = { crun: 'takes flags of the source away' }
const oldFlags = olderRunc(2, 'adds what is named to what the source has')
const oldLocks = olderRunc(2, 'does not know which flags are locked')

/** mount(2) MS_REMOUNT|MS_BIND: all flags or none; mount_namespaces(7): what the source has is locked in a user namespace. */
const flagCases: readonly Case[] = [
  {
    has: 'ro,nosuid,nodev,noatime',
    asked: [],
    shows: 'ro,nosuid,nodev,noatime',
    not: loses,
  },
  { has: 'ro,nosuid,nodev,noexec', asked: ['nosuid'], shows: 'rw,nosuid,relatime' },
  { has: 'ro,nodev,noexec', asked: ['dev'], shows: 'rw,relatime', not: oldFlags },
  {
    has: 'nodev',
    asked: ['ro', 'nosymfollow'],
    shows: 'ro,relatime,nosymfollow',
    not: { crun: 'passes nosymfollow over' },
  },
  { has: 'noatime', asked: ['ro'], shows: 'ro,noatime' },
  { has: 'noatime', asked: ['relatime'], shows: 'rw,relatime' },
  { has: 'noatime', asked: ['nodiratime', 'strictatime'], shows: 'rw,nodiratime' },
  {
    has: 'ro,nodev',
    asked: ['nosuid'],
    user: true as const,
    shows: 'ro,nosuid,nodev,relatime',
    not: { ...loses, ...oldLocks },
  },
  { has: 'noexec', asked: ['ro'], user: true as const, shows: 'ro,noexec,relatime', not: { ...loses, ...oldLocks } },
  { has: 'ro', asked: ['rw'], user: true as const, not: { ...passesOver, ...oldLocks } },
  { has: 'nodev,nosuid', asked: ['dev'], user: true as const, not: { ...passesOver, ...oldLocks } },
  { has: 'relatime', asked: ['noatime'], user: true as const, not: { ...passesOver, ...oldLocks } },
].map(flagCase)

const cases: readonly Case[] = [
  {
    name: 'options of a mount, of all below, and of the file system',
    script:
      "sed -nE 's#^([^ ]+ ){4}/(one|all) ([^ ]+) .*#\\2 \\3#p' /proc/self/mountinfo; df -k --output=size /one | tail -1",
    change: ({ mounts }, bed) => {
      mounts!.push(tmpfs('/one', 'ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'size=64k'))
      mounts!.push({
        destination: '/all',
        type: 'bind',
        source: join(bed.bundle, 'rootfs/root'),
        options: ['rbind', 'rro', 'rnosuid'],
      })
    },
    prints: /^one ro,nosuid,nodev,noexec,noatime\nall ro,nosuid(,nodev)?(,relatime)?\n\s+64\n$/,
  },
  {
    name: 'a bind mount is made without what only a file system could have',
    script: "sed -nE 's#^([^ ]+ ){4}/one ([^ ,]+).*#\\2#p' /proc/self/mountinfo",
    change: ({ mounts }, bed) => {
      mounts!.push(bind(join(bed.bundle, 'rootfs/root'), '/one', 'ro', 'mode=755', 'size=1k'))
    },
    prints: 'ro\n',
  },
  {
    // On v2 the kernel refuses one file system twice at one place; the root of the hierarchy alone has no cgroup.type.
    name: "control groups in the machine's own /sys",
    script:
      'cd /sys/fs/cgroup && ls -d * >/dev/null && { [ ! -e cgroup.controllers ] || ls cgroup.type; } && echo there',
    change: (spec) => {
      spec.mounts = spec.mounts!.map((one) =>
        one.destination === '/sys' ? { ...bind('/sys', '/sys'), options: ['rbind', 'rprivate'] } : one,
      )
    },
    prints: /^(cgroup\.type\n)?there\n$/,
  },
  {
    name: 'a tmpfs has the mode of the directory it covers',
    script: 'stat -c %a /root',
    change: ({ mounts }, bed) => {
      chmodSync(join(bed.bundle, 'rootfs/root'), 0o711)
      mounts!.push(tmpfs('/root'))
    },
    prints: '711\n',
    not: { crun: 'leaves it to tmpfs' },
  },
  {
    name: 'tmpcopyup',
    script: 'cat /root/a/b; readlink /root/link; stat -c %a /root/a; touch /root/new',
    change: ({ mounts }, bed) => {
      const directory = join(bed.bundle, 'rootfs/root')
      mkdirSync(join(directory, 'a'), { mode: 0o710 })
      writeFileSync(join(directory, 'a/b'), 'copied\n')
      symlinkSync('a/b', join(directory, 'link'))
      mounts!.push(tmpfs('/root', 'tmpcopyup'))
    },
    prints: 'copied\na/b\n710\n',
  },
  {
    name: 'a link as a destination stays inside the root',
    script: 'ls /tmp/inside',
    change: ({ mounts }, bed) => {
      mkdirSync(join(bed.bundle, 'rootfs/root/source'))
      mkdirSync(join(bed.bundle, 'rootfs/root/source/content'))
      symlinkSync('../../../../../../tmp', join(bed.bundle, 'rootfs/root/out'))
      const source = join(bed.bundle, 'rootfs/root/source')
      mounts!.push({ destination: '/root/out/inside', type: 'bind', source, options: ['rbind'] })
    },
    prints: 'content\n',
  },
  {
    name: 'a mount below /proc',
    script: 'true',
    change: ({ mounts }) => {
      mounts!.push(tmpfs('/proc/self'))
    },
    not: { crun: 'allows it' },
  },
  {
    name: 'a source that is not there',
    script: 'true',
    change: ({ mounts }) => {
      mounts!.push({ destination: '/a', type: 'bind', source: '/no/such/source', options: ['rbind'] })
    },
  },
  {
    name: 'a read-only root',
    script: 'touch /x 2>&1 | grep -o "Read-only file system"',
    change: (spec) => {
      spec.root.readonly = true
    },
    prints: 'Read-only file system\n',
  },
  ...(['private', 'shared', 'unbindable'] as const).map(
    (rootfsPropagation): Case => ({
      name: `a root that is ${rootfsPropagation}`,
      script: "grep -E '^([^ ]+ ){4}/ ' /proc/self/mountinfo | cut -d' ' -f7 | cut -d: -f1",
      change: ({ linux }) => {
        linux!.rootfsPropagation = rootfsPropagation
      },
      prints: rootfsPropagation === 'private' ? '-\n' : `${rootfsPropagation}\n`,
      ...(rootfsPropagation in runcRoots ? { not: { runc: runcRoots[rootfsPropagation]! } } : {}),
    }),
  ),
]

const mapped = { uidMappings: userMaps, gidMappings: userMaps }
const ownerOf = (path: string): string => `stat -c %u ${path}`

/** A directory that the first id of a mapped mount owns, in the bundle. */
function ownedSource(bed: RuntimeBed, uid: number): string {
  const source = join(bed.directory, 'owned')
  mkdirSync(source)
  writeFileSync(join(source, 'file'), '')
  chownSync(join(source, 'file'), uid, uid)
  return source
}

function addChain({ mounts }: OciSpec, bed: RuntimeBed): void {
  const tree = join(bed.bundle, 'rootfs/tmp')
  mounts!.push(bind(ownedSource(bed, 7), '/tmp'))
  mounts!.push({ ...bind(tree, '/root', 'rprivate'), ...mapped })
}

const inside = {
  crun: 'opens every source before it makes the first mount',
  ...olderRunc(2, 'maps no owners'),
}

const ownerCases: readonly Case[] = [
  {
    name: "owners are mapped of what the container's own mounts show",
    script: `${ownerOf('/tmp/file')}; ${ownerOf('/root/file')}`,
    change: addChain,
    prints: '7\n100007\n',
    not: inside,
  },
  {
    name: "owners are mapped of what the container's own mounts show, in a user namespace",
    script: `${ownerOf('/tmp/file')}; ${ownerOf('/root/file')}`,
    change: (spec, bed) => {
      addChain(spec, bed)
      inUserNamespace(spec, bed)
      chmodSync(join(bed.directory, 'owned'), 0o755)
    },
    prints: '65534\n7\n',
    not: inside,
  },
]

const joinedMaps: NonNullable<Case['not']> = { crun: 'crun asks for maps', ...olderRunc(2, 'runc asks for maps') }

function suite(name: RuntimeName, program: string | undefined): void {
  const newBed = (): RuntimeBed => new RuntimeBed(name === 'drydock-runtime' ? own : program!)
  runCases(name, newBed, [...cases, ...flagCases, ...ownerCases])

  test('idmap without maps takes those of a user namespace that is joined', {
    skip: joinedMaps[name] ?? false,
  }, () => {
    using bed = newBed()
    const source = ownedSource(bed, 7)
    bed.configure(['sleep', '100'], (spec) => inUserNamespace(spec, bed))
    assert.equal(bed.detach('first').status, 0)
    const path = `/proc/${bed.state('first').pid}/ns/user`
    bed.configure(['sh', '-c', ownerOf('/root/file')], ({ linux, mounts }) => {
      linux!.namespaces = linux!.namespaces!.map((one) => (one.type === 'user' ? { type: 'user', path } : one))
      delete linux!.uidMappings
      delete linux!.gidMappings
      linux!.cgroupsPath += '2'
      mounts!.push(bind(source, '/root', 'idmap'))
    })
    const { stdout, stderr } = bed.run(['run', '--bundle', bed.bundle, 'second'])
    assert.equal(stdout, '7\n', stderr)
  })
}

for (const name of runtimes)
  describe(name, { skip: (!root && 'needs root') || reasonAgainst(name) }, () => suite(name, findProgram(name)))
