/** Ways out that take a configuration of one's own, as podman or a hand-written config.json may have it. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { Supervisors } from '../../engine/shim/shim.ts'
import type { OciSpec } from '../../engine/spec/oci.ts'
import { makeBundle } from './bundle.ts'
import { startSpawner } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let supervisors: Supervisors
before(async () => {
  if (skip !== false) return
  supervisors = await startSpawner()
})
after(async () => {
  if (skip !== false) return
  await supervisors.close()
  detectCgroups().group('/drydock-test').remove()
})

/** Creates it with a change that knows the bundle's directory, and takes it away. Rejects as the creation does. */
async function tryCreate(
  change: (spec: OciSpec, base: string) => void,
  options: { terminal?: boolean } = {},
): Promise<void> {
  let spec: OciSpec | undefined
  using bundle = makeBundle(['cat', '/etc/hostname'], { ...options, change: (made) => (spec = made) })
  assert.ok(spec !== undefined)
  change(spec, bundle.base)
  writeFileSync(join(bundle.directory, 'config.json'), JSON.stringify(spec))
  const shim = await supervisors.launch(bundle.directory)
  try {
    await shim.create()
    await shim.killAll()
  } finally {
    await shim.release().catch(() => undefined)
  }
}

const bind = (source: string, destination: string) => ({ destination, type: 'bind', source, options: ['rbind'] })

/** A /dev from elsewhere, with what a container needs in it and the given thing as its console. */
function boundDev(console: (path: string) => void) {
  return (spec: OciSpec, base: string): void => {
    const dev = join(base, 'dev')
    mkdirSync(join(dev, 'pts'), { recursive: true })
    console(join(dev, 'console'))
    const [proc, , pts, ...rest] = spec.mounts ?? []
    spec.mounts = [
      proc!,
      bind(dev, '/dev'),
      pts!,
      ...rest.filter(({ destination }) => !destination.startsWith('/dev/')),
    ]
    spec.linux = { ...spec.linux, maskedPaths: [] }
  }
}

test('a console that is a link receives no terminal (CVE-2025-52565)', { skip }, async () => {
  const terminal = { terminal: true }
  await tryCreate(
    boundDev((path) => writeFileSync(path, '')),
    terminal,
  )
  for (const target of ['/proc/self/attr/exec', '/etc/passwd', '../proc/sysrq-trigger'])
    await assert.rejects(
      tryCreate(
        boundDev((path) => symlinkSync(target, path)),
        terminal,
      ),
      /"\/dev\/console" is, or is reached through, a symbolic link/,
      target,
    )
})

test('settings are written to the kernel’s own /proc, through no link and no cover (CVE-2025-52881)', {
  skip,
}, async () => {
  const sysctl = { 'net.ipv4.ip_forward': '1' }
  await tryCreate((spec) => {
    spec.linux = { ...spec.linux, sysctl }
  })
  // A tree that looks like it, in its place: no /proc is mounted at all.
  const fake = (spec: OciSpec, base: string): void => {
    const place = join(base, 'skeleton/proc/sys/net/ipv4')
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'ip_forward'), 'untouched')
    spec.mounts = (spec.mounts ?? []).filter(({ destination }) => destination !== '/proc')
    spec.linux = { ...spec.linux, sysctl, maskedPaths: [], readonlyPaths: [] }
  }
  let seen = ''
  await assert.rejects(
    tryCreate((spec, base) => {
      fake(spec, base)
      seen = join(base, 'skeleton/proc/sys/net/ipv4/ip_forward')
    }),
    /\/proc of the container is not the kernel's own/,
  )
  assert.ok(seen !== '')
  // Of another process's /proc as a whole there is nothing wrong.
  await tryCreate((spec) => {
    spec.mounts = [bind('/proc', '/proc'), ...(spec.mounts ?? []).filter(({ destination }) => destination !== '/proc')]
    spec.linux = { ...spec.linux, maskedPaths: [], readonlyPaths: [] }
  })
})

test('an unprivileged look at what the runtime left open', { skip }, async () => {
  // Every descriptor of the creation ends at execve: what is left is what was given.
  const bundle = makeBundle(['sh', '-c', 'ls /proc/self/fd; readlink /proc/self/cwd /proc/self/root'])
  using _bundle = bundle
  const shim = await supervisors.launch(bundle.directory)
  await shim.create()
  await shim.start()
  await shim.exited
  await shim.release()
  const lines = readFileSync(bundle.logPath, 'utf8').trim().split('\n')
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { log: string }).log.trim()),
    ['0', '1', '2', '3', '/', '/'],
  )
})
