/** An OCI bundle for tests: this machine's /usr below an overlay, as the image `host` has it, in a directory of its own. */
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newId } from '../../engine/base/identifier.ts'
import type { ShimConfig } from '../../engine/shim/shim.ts'
import type { OciSpec } from '../../engine/spec/oci.ts'

export type TestBundle = { id: string; directory: string; base: string; logPath: string; cgroup: string } & Disposable

export type BundleOptions = {
  terminal?: boolean
  openStdin?: boolean
  stdinOnce?: boolean
  change?: (spec: OciSpec) => void
  /** The layers' owners are the container's. */
  mapOwners?: boolean
  /** No overlay: the root is the directory itself, writable and of this owner, with /usr bound into it. */
  plainRoot?: { owner: number }
  log?: Partial<ShimConfig['log']>
}

const skeleton = ['etc', 'usr', 'proc', 'sys', 'dev', 'tmp', 'root']

export function makeBundle(args: readonly string[], options: BundleOptions = {}): TestBundle {
  const base = mkdtempSync('/var/tmp/drydock-bundle-')
  const id = newId()
  const directory = join(base, 'c')
  for (const name of skeleton) mkdirSync(join(base, 'skeleton', name), { recursive: true })
  for (const name of ['root/upper', 'root/work', 'usr/upper', 'usr/work', 'c/rootfs'])
    mkdirSync(join(base, name), { recursive: true })
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(base, 'skeleton', name))
  for (const name of ['passwd', 'group', 'ld.so.cache']) copyFileSync(`/etc/${name}`, join(base, 'skeleton/etc', name))
  const spec = specOf(id, args, options)
  if (options.plainRoot !== undefined) makePlainRoot(join(base, 'c/rootfs'), spec, options.plainRoot.owner)
  options.change?.(spec)
  const logPath = join(base, 'json.log')
  const config: ShimConfig = {
    id,
    rootfs:
      options.plainRoot !== undefined
        ? []
        : [
            {
              target: '/',
              lower: [join(base, 'skeleton')],
              upper: join(base, 'root/upper'),
              work: join(base, 'root/work'),
            },
            { target: '/usr', lower: ['/usr'], upper: join(base, 'usr/upper'), work: join(base, 'usr/work') },
          ],
    mapOwners: options.mapOwners === true,
    terminal: options.terminal === true,
    openStdin: options.openStdin === true,
    stdinOnce: options.stdinOnce === true,
    log: { driver: 'json-file', path: logPath, maxSize: -1, maxFile: 1, ...options.log },
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(spec))
  writeFileSync(join(directory, 'shim.json'), JSON.stringify(config))
  return {
    id,
    directory,
    base,
    logPath,
    cgroup: spec.linux!.cgroupsPath!,
    [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }),
  }
}

function makePlainRoot(rootfs: string, spec: OciSpec, owner: number): void {
  for (const name of skeleton) mkdirSync(join(rootfs, name))
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(rootfs, name))
  for (const name of ['passwd', 'group', 'ld.so.cache']) copyFileSync(`/etc/${name}`, join(rootfs, 'etc', name))
  for (const name of ['', ...skeleton]) chownSync(join(rootfs, name), owner, owner)
  for (const place of ['../..', '..']) chmodSync(join(rootfs, place), 0o755)
  spec.mounts!.push({ destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro', 'rprivate'] })
}

const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE']

function specOf(id: string, args: readonly string[], options: BundleOptions): OciSpec {
  return {
    ociVersion: '1.2.0',
    hostname: 'drydock-test',
    root: { path: 'rootfs' },
    process: {
      terminal: options.terminal === true,
      user: { uid: 0, gid: 0 },
      args: [...args],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, permitted: capabilities, effective: capabilities },
      noNewPrivileges: true,
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
      },
    ],
    linux: {
      cgroupsPath: `/drydock-test/${id.slice(0, 12)}`,
      resources: {},
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'network' },
        { type: 'cgroup' },
      ],
      maskedPaths: ['/proc/kcore', '/proc/keys', '/sys/firmware'],
      readonlyPaths: ['/proc/sys', '/proc/bus', '/proc/irq'],
    },
  }
}
