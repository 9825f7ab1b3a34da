/** A root whose layers know nothing of the user namespace they are seen from: owners mapped, nothing chowned. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { Shim, Supervisors } from '../../engine/shim/shim.ts'
import type { OciSpec } from '../../engine/spec/oci.ts'
import { makeBundle, type TestBundle } from './bundle.ts'
import { startSpawner } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

/** CAP_SYS_RESOURCE, which root of a machine that is itself confined may lack. */
const mayRaise =
  ((BigInt(`0x${/CapEff:\t(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 24n) & 1n) === 1n

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

const map = [{ containerID: 0, hostID: 200_000, size: 65_536 }]

function inUserNamespace(spec: OciSpec): void {
  spec.linux?.namespaces?.push({ type: 'user' })
  spec.linux = { ...spec.linux, uidMappings: map, gidMappings: map }
}

type Launched = AsyncDisposable & { bundle: TestBundle; shim: Shim }

async function launch(script: string, change: (spec: OciSpec, base: string) => void): Promise<Launched> {
  let spec: OciSpec | undefined
  const bundle = makeBundle(['sh', '-c', script], {
    mapOwners: true,
    change: (made) => {
      spec = made
      inUserNamespace(made)
    },
  })
  assert.ok(spec !== undefined)
  change(spec, bundle.base)
  writeFileSync(join(bundle.directory, 'config.json'), JSON.stringify(spec))
  const shim = await supervisors.launch(bundle.directory)
  const end = async (): Promise<void> => {
    // Whatever a test came to: gone already is fine.
    await shim.killAll().catch(() => undefined)
    await shim.release().catch(() => undefined)
    bundle[Symbol.dispose]()
  }
  return { bundle, shim, [Symbol.asyncDispose]: end }
}

async function run(
  script: string,
  change: (spec: OciSpec, base: string) => void = () => undefined,
  look: (base: string) => void = () => undefined,
): Promise<string> {
  await using container = await launch(script, change)
  const { bundle, shim } = container
  const { pid } = await shim.create()
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  assert.match(status, /^Uid:\t200000\t200000/m)
  await shim.start()
  const { exitCode } = await shim.exited
  const log = readFileSync(bundle.logPath, 'utf8')
    .trim()
    .split('\n')
    .map((line) => (line === '' ? '' : (JSON.parse(line) as { log: string }).log))
    .join('')
  assert.equal(exitCode, 0, log)
  look(bundle.base)
  return log
}

test("layers appear as the container's, and what is written is on the disk as the container said", {
  skip,
}, async () => {
  const script = `
    stat -c '%u:%g %n' / /etc /usr /usr/bin/env /etc/passwd
    touch /made; mkdir /usr/share/made; chown 7:8 /usr/share/made; chown 3 /etc/passwd
    ln -s x /root/link; chmod 4755 /made; stat -c '%u:%g' /made /etc/passwd`
  const out = await run(script, undefined, (base) => {
    const owners = (path: string): number[] => [statSync(join(base, path)).uid, statSync(join(base, path)).gid]
    assert.deepEqual(owners('root/upper/made'), [0, 0])
    assert.equal(statSync(join(base, 'root/upper/made')).mode & 0o7777, 0o4755)
    assert.deepEqual(owners('root/upper/etc/passwd'), [3, 0])
    assert.deepEqual(owners('usr/upper/share/made'), [7, 8])
    assert.deepEqual(owners('skeleton/etc/passwd'), [0, 0])
  })
  assert.equal(out, '0:0 /\n0:0 /etc\n0:0 /usr\n0:0 /usr/bin/env\n0:0 /etc/passwd\n0:0\n3:0\n')
})

test('binds: those of the host keep their owners, mapped ones have them in the container', { skip }, async () => {
  const script = `
    stat -c '%u %n' /plain /mapped /mapped/file /hosts
    echo x >/mapped/new; chown 5 /mapped/new; echo y >/hosts; ! touch /plain/new 2>/dev/null`
  const bind = (base: string, name: string, destination: string, options: string[]) => ({
    destination,
    type: 'bind',
    source: join(base, 'closed', name),
    options: ['rbind', 'rprivate', ...options],
    ...(options.includes('idmap') ? { uidMappings: map, gidMappings: map } : {}),
  })
  const add = (spec: OciSpec, base: string): void => {
    // Nobody but the machine's root may pass: the mounts are made all the same.
    mkdirSync(join(base, 'closed'), { mode: 0o700 })
    for (const name of ['plain', 'mapped']) mkdirSync(join(base, 'closed', name), { mode: 0o755 })
    writeFileSync(join(base, 'closed/mapped/file'), '')
    writeFileSync(join(base, 'closed/hosts'), '')
    spec.mounts?.push(bind(base, 'plain', '/plain', []), bind(base, 'mapped', '/mapped', ['idmap']))
    spec.mounts?.push(bind(base, 'hosts', '/hosts', ['idmap']))
  }
  const out = await run(script, add, (base) => {
    assert.equal(statSync(join(base, 'closed/mapped/new')).uid, 5)
    assert.equal(readFileSync(join(base, 'closed/hosts'), 'utf8'), 'y\n')
  })
  assert.equal(out, '65534 /plain\n0 /mapped\n0 /mapped/file\n0 /hosts\n')
})

test('limits above the own ones, standard streams, devices, and what belongs to the machine', { skip }, async () => {
  const script = `
    ulimit -Hn; cat /proc/self/oom_score_adj; echo out >/dev/stdout; echo >/dev/null; head -c1 /dev/urandom | wc -c
    cat /proc/self/uid_map; mknod /tmp/null c 1 3 2>&1; mount -t tmpfs none /mnt 2>&1; echo 1 >/proc/sys/kernel/panic
    ls /proc/1/exe >/dev/null && hostname other 2>&1; true`
  const own = Number(/Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
  const [hard, score] = mayRaise ? [own + 1, -500] : [own, 500]
  const out = await run(script, (spec) => {
    spec.process!.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 100, hard }]
    spec.process!.oomScoreAdj = score
  })
  const lines = out.split('\n').map((line) => line.trim())
  assert.deepEqual(lines.slice(0, 4), [`${hard}`, `${score}`, 'out', '1'])
  assert.match(lines[4] ?? '', /^0 +200000 +65536$/)
  assert.match(out, /mknod: .*not permitted/)
  assert.match(out, /panic: (Read-only file system|Permission denied)/)
  assert.match(out, /hostname: .*(not permitted|must be root)/)
})

test('a process that joins has the same users and streams', { skip }, async () => {
  await using container = await launch('sleep 600', () => undefined)
  const { bundle, shim } = container
  await shim.create()
  await shim.start()
  const exec = async (words: string[], uid: number): Promise<number> => {
    const execId = `exec-${words.join('-').replaceAll(/\W/g, '')}`
    await shim.exec({
      execId,
      process: {
        user: { uid, gid: uid },
        args: words,
        env: ['PATH=/usr/bin'],
        cwd: '/',
        oomScoreAdj: mayRaise ? -400 : 400,
        rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
      },
      openStdin: false,
    })
    return (await shim.execExited(execId)).exitCode
  }
  assert.equal(await exec(['sh', '-c', 'test $(id -u) = 0 && echo x >/dev/stdout && touch /tmp/of-exec'], 0), 0)
  assert.equal(await exec(['sh', '-c', 'test $(id -u) = 12 && echo x >/dev/stderr && ! touch /tmp/../etc/x'], 12), 0)
  assert.equal(statSync(join(bundle.base, 'root/upper/tmp/of-exec')).uid, 0)
})
