/** Mounts, propagation and devices of config.json as the container sees them; runtime-spec config.md "Mounts". */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { OciMount, OciSpec } from '../../engine/spec/oci.ts'
import type { BundleOptions } from './bundle.ts'
import { type RunResult, ShimBed, script } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
let place: string
before(async () => {
  if (skip !== false) return
  bed = await ShimBed.start()
  place = mkdtempSync('/var/tmp/drydock-mounts-')
  for (const name of ['a', 'a/below', 'shared']) mkdirSync(join(place, name))
  execFileSync('mount', ['-t', 'tmpfs', 'outer', join(place, 'shared')])
  execFileSync('mount', ['--make-shared', join(place, 'shared')])
  mkdirSync(join(place, 'shared/sub'))
  execFileSync('mount', ['-t', 'tmpfs', 'inner', join(place, 'shared/sub')])
  writeFileSync(join(place, 'a/file'), 'content\n')
})
after(async () => {
  await bed?.close()
  if (place === undefined) return
  execFileSync('umount', ['-R', join(place, 'shared')])
  rmSync(place, { recursive: true })
})

const withMounts = (
  text: string,
  mounts: OciMount[],
  more: (spec: OciSpec) => void = () => undefined,
): Promise<RunResult> =>
  bed.run(script(text), {
    change: (spec) => {
      spec.mounts!.push(...mounts)
      more(spec)
    },
  })

const bind = (source: string, destination: string, ...options: string[]): OciMount => ({
  source,
  destination,
  type: 'bind',
  options,
})

/** Options of one mount point, its own and those of its file system. */
const optionsOf = (point: string): string => `sed -nE 's#^([^ ]+ ){4}${point} ([^ ]+) .*#\\2#p' /proc/self/mountinfo`

test('a directory, a file, a path relative to the bundle; made where nothing is', { skip }, async () => {
  const { stdout, stderr } = await withMounts('cat /in/new/place/file /one; ls /rel', [
    bind(join(place, 'a'), '/in/new/place', 'rbind'),
    bind(join(place, 'a/file'), '/one', 'bind', 'ro'),
    bind('../skeleton', '/rel', 'rbind'),
  ])
  assert.match(stdout, /^content\ncontent\nbin\ndev\n/, stderr)
})

test('a relative destination counts from the root', { skip }, async () => {
  const { stdout } = await withMounts('ls /deep/er', [bind(join(place, 'a'), 'deep/er', 'rbind')])
  assert.equal(stdout, 'below\nfile\n')
})

test('links on the way to a destination stay inside the root', { skip }, async () => {
  const { stdout } = await bed.run(script('ls /etc/inner; ls -d /target'), {
    change: (spec) => {
      spec.mounts!.push(
        { destination: '/target', type: 'tmpfs', source: 'tmpfs' },
        bind(join(place, 'links'), '/l', 'rbind'),
        bind(join(place, 'a'), '/l/out/inner', 'rbind'),
      )
      mkdirSync(join(place, 'links'), { recursive: true })
      symlinkSync('../../../../etc', join(place, 'links/out'))
    },
  })
  assert.equal(stdout, 'below\nfile\n/target\n')
  assert.throws(() => statSync('/etc/inner'))
})

for (const [option, shown] of [
  ['ro', 'ro'],
  ['nosuid', 'nosuid'],
  ['nodev', 'nodev'],
  ['noexec', 'noexec'],
  ['noatime', 'noatime'],
  ['nodiratime', 'nodiratime'],
  ['nosymfollow', 'nosymfollow'],
] as const)
  test(`${option} on one mount, r${option} on all below`, { skip }, async () => {
    const source = join(place, 'shared')
    const { stdout } = await withMounts(
      [optionsOf('/one'), optionsOf('/one/sub'), optionsOf('/all'), optionsOf('/all/sub')].join('; '),
      [bind(source, '/one', 'rbind', option), bind(source, '/all', 'rbind', `r${option}`)],
    )
    const [one, oneBelow, all, allBelow] = stdout.trim().split('\n')
    for (const line of [one, all, allBelow]) assert.match(line!, new RegExp(`(^|,)${shown}(,|$)`), option)
    assert.doesNotMatch(oneBelow!, new RegExp(`(^|,)${shown}(,|$)`), option)
  })

test('options that take away what the source has', { skip }, async () => {
  const source = join(place, 'strict')
  mkdirSync(source)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,nosuid,nodev,noexec,noatime', 'strict', source])
  try {
    const { stdout } = await withMounts(`${optionsOf('/kept')}; ${optionsOf('/freed')}; ${optionsOf('/rfreed')}`, [
      bind(source, '/kept', 'rbind'),
      bind(source, '/freed', 'rbind', 'rw', 'suid', 'dev', 'exec', 'relatime'),
      bind(source, '/rfreed', 'rbind', 'rrw', 'rsuid', 'rdev', 'rexec', 'rstrictatime'),
    ])
    const [kept, freed, rfreed] = stdout.trim().split('\n')
    assert.match(kept!, /^ro,nosuid,nodev,noexec,noatime/)
    assert.equal(freed, 'rw,relatime')
    assert.equal(rfreed, 'rw')
  } finally {
    execFileSync('umount', [source])
  }
})

test('a bind that is there is changed by remount', { skip }, async () => {
  const { stdout } = await withMounts(optionsOf('/m'), [
    bind(join(place, 'a'), '/m', 'rbind', 'rw'),
    { destination: '/m', options: ['bind', 'remount', 'ro', 'nosuid'] },
  ])
  assert.match(stdout, /^ro,nosuid,/)
})

test('a file system that is there is changed by remount', { skip }, async () => {
  const { stdout } = await withMounts('touch /t/x; touch /t/y 2>&1; df -k --output=size /t | tail -1', [
    { destination: '/t', type: 'tmpfs', source: 'tmpfs', options: ['size=100k'] },
    { destination: '/t', type: 'tmpfs', source: 'tmpfs', options: ['remount', 'ro', 'size=200k'] },
  ])
  assert.match(stdout, /Read-only file system\n\s+200\n$/)
})

test('options of the file system', { skip }, async () => {
  const { stdout } = await withMounts("stat -c '%a %u' /t; df -k --output=size /t | tail -1", [
    { destination: '/t', type: 'tmpfs', source: 'tmpfs', options: ['size=64k', 'mode=0711', 'uid=77'] },
  ])
  assert.equal(stdout.replaceAll(/ +/g, ' '), '711 77\n 64\n')
})

test('a tmpfs has the mode of the directory it covers', { skip }, async () => {
  const { stdout } = await withMounts('stat -c %a /root /new', [
    { destination: '/root', type: 'tmpfs', source: 'tmpfs' },
    { destination: '/new', type: 'tmpfs', source: 'tmpfs' },
  ])
  const mode = statSync('/root')
  assert.ok(mode)
  assert.equal(stdout, '755\n1777\n')
})

test('tmpcopyup: what the image has there is in the tmpfs, and only in it', { skip }, async () => {
  const source = join(place, 'up')
  mkdirSync(join(source, 'dir'), { recursive: true })
  writeFileSync(join(source, 'dir/file'), 'x'.repeat(100_000))
  chmodSync(join(source, 'dir'), 0o2750)
  chownSync(join(source, 'dir/file'), 12, 34)
  chmodSync(join(source, 'dir/file'), 0o4711)
  symlinkSync('/etc/shadow', join(source, 'link'))
  execFileSync('mkfifo', ['-m', '640', join(source, 'pipe')])
  const { stdout, stderr } = await withMounts(
    "cd /up; stat -c '%n %a %u %g %s %F' dir dir/file pipe; readlink link; touch new; findmnt -no FSTYPE /up | tail -1",
    [
      bind(source, '/up', 'rbind'),
      { destination: '/up', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', 'nodev'] },
    ],
  )
  assert.equal(
    stdout.replace(/ \d+ directory/, ' N directory'),
    'dir 2750 0 0 N directory\ndir/file 4711 12 34 100000 regular file\npipe 640 0 0 0 fifo\n/etc/shadow\ntmpfs\n',
    stderr,
  )
  assert.throws(() => statSync(join(source, 'new')))
})

test('propagation of a bind mount', { skip }, async () => {
  const source = join(place, 'shared')
  const { stdout } = await withMounts('grep /p- /proc/self/mountinfo', [
    bind(source, '/p-private', 'bind', 'private'),
    bind(source, '/p-slave', 'bind', 'slave'),
    bind(source, '/p-shared', 'bind', 'shared'),
    bind(source, '/p-unbindable', 'bind', 'unbindable'),
    bind(source, '/p-default', 'bind'),
    bind(source, '/p-all', 'rbind', 'rprivate'),
  ])
  const lines = Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [, , , , point, , ...tags] = line.split(' - ')[0]!.split(' ')
        return [point, tags.map((tag) => tag.replace(/:\d+$/, '')).join(' ')]
      }),
  )
  assert.deepEqual(lines, {
    '/p-private': '',
    '/p-slave': 'master',
    '/p-shared': 'shared master',
    '/p-unbindable': 'unbindable',
    '/p-default': 'master',
    '/p-all': '',
    '/p-all/sub': '',
  })
})

test('propagation of the root', { skip }, async () => {
  const tag = "grep -E '^([^ ]+ ){4}/ ' /proc/self/mountinfo | cut -d' ' -f7"
  const rootOf = async (rootfsPropagation: string): Promise<string> => {
    const options: BundleOptions = {
      plainRoot: { owner: 0 },
      change: (spec) => {
        spec.linux!.rootfsPropagation = rootfsPropagation
      },
    }
    return (await bed.run(script(tag), options)).stdout.trim()
  }
  assert.equal(await rootOf('private'), '-')
  assert.match(await rootOf('shared'), /^shared:/)
  assert.match(await rootOf('unbindable'), /^unbindable/)
  assert.match(await rootOf('slave'), /^(master:|-)/)
})

test('with a shared root a mount in a shared bind shows on the host; with a slave one it does not', {
  skip,
}, async () => {
  const source = join(place, 'shared')
  const seen: Record<string, boolean> = {}
  for (const rootfsPropagation of ['shared', 'slave']) {
    await withMounts(
      'mkdir -p /s/from-inside; mount -t tmpfs x /s/from-inside',
      [bind(source, '/s', 'rbind', 'rshared')],
      (spec) => {
        spec.linux!.rootfsPropagation = rootfsPropagation
        for (const set of ['bounding', 'effective', 'permitted'] as const)
          spec.process!.capabilities![set]!.push('CAP_SYS_ADMIN')
      },
    )
    const mounted = execFileSync('findmnt', ['-rno', 'TARGET', '-R', source], { encoding: 'utf8' })
    seen[rootfsPropagation] = mounted.includes('from-inside')
    assert.ok(mounted.includes('/sub'), 'a mount of the host went with the container’s view of it')
    if (seen[rootfsPropagation]) execFileSync('umount', [join(source, 'from-inside')])
  }
  assert.deepEqual(seen, { shared: true, slave: false })
})

test('a read-only root, with what is mounted on it as it was', { skip }, async () => {
  const { stdout } = await withMounts('touch /x 2>&1; touch /dev/shm/y && echo fine', [], (spec) => {
    spec.root.readonly = true
  })
  assert.match(stdout, /Read-only file system\nfine\n$/)
})

test('owners of a bind mount are mapped', { skip }, async () => {
  const source = join(place, 'shared/owned')
  writeFileSync(source, '')
  chownSync(source, 1000, 1000)
  const mappings = [{ containerID: 1000, hostID: 5000, size: 1 }]
  const maps = { uidMappings: mappings, gidMappings: mappings }
  const { stdout } = await withMounts("stat -c '%u %g' /with/owned /without/owned", [
    { ...bind(join(place, 'shared'), '/with', 'rbind', 'idmap'), ...maps },
    bind(join(place, 'shared'), '/without', 'rbind'),
  ])
  rmSync(source)
  assert.equal(stdout, '5000 5000\n1000 1000\n')
})

test('what cannot be mounted is refused by its place', { skip }, async () => {
  const cases: [mount: OciMount, words: RegExp][] = [
    [bind('/no/such', '/a', 'rbind'), /mounts\[5\] \(\/a\): bind source path does not exist: \/no\/such/],
    [
      bind(place, '/a', 'rbind', 'size=1m'),
      /mounts\[5\] \(\/a\): a bind mount has the options of its file system.*size=1m/,
    ],
    [bind(place, '/', 'rbind'), /mounts\[5\] \(\/\): the root itself/],
    [bind(place, '/proc/self', 'rbind'), /mounts\[5\] \(\/proc\/self\): .*inside of \/proc/],
    [{ destination: '/a', type: 'nofs', source: 'x' }, /mounts\[5\] \(\/a\): mount nofs .*ENODEV/],
    [
      { destination: '/a', type: 'tmpfs', source: 'x', options: ['nonsense=1'] },
      /mounts\[5\] \(\/a\): mount tmpfs .*EINVAL/,
    ],
    [{ destination: '/none', options: ['bind', 'remount', 'ro'] }, /mounts\[5\] \(\/none\): there is nothing/],
  ]
  for (const [mount, words] of cases) await assert.rejects(withMounts('true', [mount]), words)
})

test('default devices and links, without a tmpfs on /dev as well', { skip }, async () => {
  const list =
    'cd /dev; for n in null zero full random urandom tty; do stat -c "%n %F %t:%T %a" $n; done; for n in fd stdin stdout stderr ptmx; do readlink $n; done'
  const expected = [
    ...['null 1:3', 'zero 1:5', 'full 1:7', 'random 1:8', 'urandom 1:9', 'tty 5:0'].map((line) => {
      const [name, numbers] = line.split(' ')
      return `${name} character special file ${numbers} 666`
    }),
    ...['/proc/self/fd', '/proc/self/fd/0', '/proc/self/fd/1', '/proc/self/fd/2', 'pts/ptmx'],
  ]
  for (const withTmpfs of [true, false]) {
    const { stdout } = await bed.run(script(list), {
      change: (spec) => {
        if (!withTmpfs) spec.mounts = spec.mounts!.filter(({ destination }) => destination !== '/dev')
      },
    })
    assert.deepEqual(stdout.trim().split('\n'), expected)
  }
})

test('devices that are asked for: kinds, modes, owners, anywhere', { skip }, async () => {
  const { stdout } = await withMounts(
    'for n in /dev/c /else/where /dev/pipe /dev/null; do stat -c "%n %F %t:%T %a %u:%g" $n; done',
    [],
    (spec) => {
      spec.linux!.devices = [
        { type: 'c', path: '/dev/c', major: 10, minor: 229, fileMode: 0o640, uid: 3, gid: 4 },
        { type: 'b', path: '/else/where', major: 7, minor: 300, fileMode: 0o20600 },
        { type: 'p', path: '/dev/pipe', fileMode: 0o622 },
        { type: 'u', path: '/dev/null', major: 1, minor: 3, fileMode: 0o600 },
      ]
    },
  )
  assert.deepEqual(stdout.trim().split('\n'), [
    '/dev/c character special file a:e5 640 3:4',
    '/else/where block special file 7:12c 600 0:0',
    '/dev/pipe fifo 0:0 622 0:0',
    '/dev/null character special file 1:3 600 0:0',
  ])
})

test('something else in a device’s place is an error', { skip }, async () => {
  await assert.rejects(
    withMounts('true', [], (spec) => {
      spec.linux!.devices = [{ type: 'c', path: '/etc/passwd', major: 1, minor: 3 }]
    }),
    /linux\.devices: cannot make \/etc\/passwd: something else is there/,
  )
})

test('a bound /dev is left as it is', { skip }, async () => {
  const { stdout } = await withMounts('ls /dev | wc -l', [bind(join(place, 'a'), '/dev', 'rbind')], (spec) => {
    spec.linux!.maskedPaths = []
  })
  assert.equal(stdout, '2\n')
  await assert.rejects(
    withMounts('true', [bind(join(place, 'a'), '/dev', 'rbind')], (spec) => {
      spec.linux!.devices = [{ type: 'c', path: '/dev/x', major: 1, minor: 3 }]
    }),
    /linux\.devices: cannot make \/dev\/x: nothing may be made/,
  )
})

test('in a user namespace devices are the host’s own', { skip }, async () => {
  const maps = [{ containerID: 0, hostID: 100_000, size: 65536 }]
  const { stdout } = await bed.run(script('echo x > /dev/null && stat -c "%t:%T" /dev/null /dev/renamed'), {
    plainRoot: { owner: 100_000 },
    change: (spec) => {
      spec.linux!.namespaces!.push({ type: 'user' })
      spec.linux!.uidMappings = maps
      spec.linux!.gidMappings = maps
      spec.linux!.devices = [{ type: 'c', path: '/dev/renamed', major: 1, minor: 5 }]
    },
  })
  assert.equal(stdout, '1:3\n1:5\n')
})

test('control groups: each hierarchy, read-only, with the container’s group as its root', { skip }, async () => {
  const { stdout } = await withMounts(
    'cd /sys/fs/cgroup; touch new 2>&1; test -e cgroup.procs && d=. || d=pids; cat $d/cgroup.procs | grep -qx 1 && echo inside; (echo 1 > $d/cgroup.procs) 2>&1 | grep -o "Read-only.*"',
    [
      {
        destination: '/sys/fs/cgroup',
        type: 'cgroup',
        source: 'cgroup',
        options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
      },
    ],
  )
  assert.match(stdout, /Read-only file system\ninside\nRead-only file system\n$/)
})
