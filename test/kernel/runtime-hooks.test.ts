/** Hooks of all six kinds: when, where, with what, and what a failing one does; runtime-spec config.md "POSIX-platform Hooks". */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { OciHook, OciHooks, OciSpec } from '../../engine/spec/oci.ts'
import { ShimBed, script, warningsOf } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
let place: string
before(async () => {
  if (skip !== false) return
  bed = await ShimBed.start()
  place = mkdtempSync('/var/tmp/drydock-hooks-')
})
after(async () => {
  await bed?.close()
  if (place !== undefined) rmSync(place, { recursive: true })
})

type Kind = keyof OciHooks
const kinds: readonly Kind[] = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
]

const hook = (text: string, more: Partial<OciHook> = {}): OciHook => ({
  path: '/usr/bin/sh',
  args: ['sh', '-c', text],
  ...more,
})

/** A directory of the host that is seen in the container under the same path. */
function shareDirectory(spec: OciSpec): void {
  spec.mounts!.push({ destination: place, type: 'bind', source: place, options: ['rbind', 'rw'] })
}

test('each kind runs once, in its order, in its namespaces, with the state on its input', { skip }, async () => {
  const report = (kind: Kind): string =>
    `printf '%s|%s|%s|%s\\n' ${kind} $(readlink /proc/self/ns/mnt) "$X$PATH" "$(/usr/bin/cat)" >> ${place}/order`
  const { bundle, shim } = await bed.launch(script(`echo program >> ${place}/order`), {
    change: (spec) => {
      shareDirectory(spec)
      spec.annotations = { 'a.b': 'c' }
      spec.hooks = Object.fromEntries(
        kinds.map((kind) => [kind, [hook(`PATH=/usr/bin; ${report(kind)}`, { env: ['X=y'] })]]),
      )
    },
  })
  using _bundle = bundle
  const { pid } = await shim.create()
  const container = readlinkSync(`/proc/${pid}/ns/mnt`)
  await shim.start()
  await shim.exited
  await shim.release()
  const lines = readFileSync(join(place, 'order'), 'utf8').trim().split('\n')
  const seen = lines.map((line) => line.split('|'))
  // The program runs on its own from execve on: it and poststart are not ordered.
  const order = seen.map(([kind]) => kind)
  assert.deepEqual(
    order.filter((kind) => kind !== 'program'),
    kinds,
  )
  assert.ok(order.indexOf('startContainer') < order.indexOf('program'))
  const own = readlinkSync('/proc/self/ns/mnt')
  const expected: Record<string, [namespace: string, status: string, pid: number | undefined]> = {
    prestart: [own, 'creating', pid],
    createRuntime: [own, 'creating', pid],
    createContainer: [container, 'creating', 1],
    startContainer: [container, 'created', 1],
    poststart: [own, 'running', pid],
    poststop: [own, 'stopped', undefined],
  }
  for (const [kind = '', namespace, environment, json = ''] of seen.filter(([name]) => name !== 'program')) {
    const [wantedNamespace, status, wantedPid] = expected[kind]!
    assert.equal(namespace, wantedNamespace, kind)
    assert.equal(environment, 'y/usr/bin', 'only its own environment')
    assert.deepEqual(JSON.parse(json), {
      ociVersion: '1.2.0',
      id: bundle.id,
      status,
      bundle: bundle.directory,
      annotations: { 'a.b': 'c' },
      ...(wantedPid === undefined ? {} : { pid: wantedPid }),
    })
  }
})

test('before the root is entered its mounts are there, and the host’s paths as well', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['true'], {
    change: (spec) => {
      spec.hooks = { createContainer: [hook(`pwd > ${place}/cwd; ls proc/self/status dev/null >> ${place}/cwd`)] }
    },
  })
  using _bundle = bundle
  await shim.create()
  await shim.start()
  await shim.exited
  await shim.release()
  const [cwd, ...names] = readFileSync(join(place, 'cwd'), 'utf8').trim().split('\n')
  assert.equal(cwd, join(bundle.directory, 'rootfs'))
  assert.deepEqual(names, ['dev/null', 'proc/self/status'])
})

for (const kind of ['prestart', 'createRuntime', 'createContainer'] as const)
  test(`a failing ${kind} hook ends the creation, and nothing is left`, { skip }, async () => {
    const { bundle, shim } = await bed.launch(['true'], {
      change: (spec) => {
        spec.hooks = { [kind]: [hook('true'), hook('echo what went wrong >&2; exit 3'), hook(`touch ${place}/later`)] }
      },
    })
    using _bundle = bundle
    await assert.rejects(
      shim.create(),
      new RegExp(`error running ${kind} hook #1: /usr/bin/sh: exit status 3: what went wrong`),
    )
    assert.ok(!existsSync(join(place, 'later')), 'a hook after the failed one ran')
    assert.ok(!existsSync(`/sys/fs/cgroup/pids${bundle.cgroup}`), 'the control group is left')
  })

test('a failing startContainer hook keeps the program from running', { skip }, async () => {
  const { bundle, shim } = await bed.launch(script(`touch ${place}/ran`), {
    change: (spec) => {
      shareDirectory(spec)
      spec.hooks = { startContainer: [hook('exit 4')] }
    },
  })
  using _bundle = bundle
  await shim.create()
  await assert.rejects(shim.start(), /error running startContainer hook #0: \/usr\/bin\/sh: exit status 4/)
  assert.ok(!existsSync(join(place, 'ran')))
})

test('a startContainer hook has no more powers than the program', { skip }, async () => {
  const { stdout } = await bed
    .run(['true'], {
      change: (spec) => {
        shareDirectory(spec)
        spec.process!.user = { uid: 1234, gid: 1234 }
        spec.linux!.seccomp = {
          defaultAction: 'SCMP_ACT_ALLOW',
          // As Docker's profile has it: the fork itself must not depend on what the filter lets through.
          syscalls: [{ names: ['clone3', 'mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }],
        }
        spec.hooks = { startContainer: [hook("id -u; grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status; exit 9")] }
      },
    })
    .catch((error: Error) => ({ stdout: error.message }))
  assert.match(stdout, /exit status 9: 1234\s+CapEff:\s+0+\s+NoNewPrivs:\s+1\s+Seccomp:\s+2/)
})

test('failing poststart and poststop hooks are told, and the container runs', { skip }, async () => {
  const { bundle, shim } = await bed.launch(script('read line; exit 6'), {
    openStdin: true,
    change: (spec) => {
      spec.hooks = {
        poststart: [hook('exit 1'), hook(`touch ${place}/second-poststart`)],
        poststop: [{ path: '/no/such/hook' }, hook(`touch ${place}/second-poststop`)],
      }
    },
  })
  using _bundle = bundle
  await shim.create()
  await shim.start()
  await shim.closeStdin()
  assert.equal((await shim.exited).exitCode, 6)
  await shim.release()
  assert.match(warningsOf(bundle), /poststart hook #0: \/usr\/bin\/sh: exit status 1/)
  assert.match(
    warningsOf(bundle),
    /poststop hook #0: \/no\/such\/hook: exit status 127: execve "\/no\/such\/hook": ENOENT/,
  )
  for (const name of ['second-poststart', 'second-poststop']) assert.ok(existsSync(join(place, name)), name)
})

test('a hook that takes too long is ended', { skip }, async () => {
  const { bundle, shim } = await bed.launch(['true'], {
    change: (spec) => {
      spec.hooks = { createRuntime: [{ path: '/usr/bin/sleep', args: ['sleep', '600'], timeout: 1 }] }
    },
  })
  using _bundle = bundle
  await assert.rejects(shim.create(), /was ended after its timeout of 1 s/)
})

test('a state larger than a pipe, and a hook that does not read it', { skip }, async () => {
  const annotations = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, 'x'.repeat(1000)]))
  const { exitCode } = await bed.run(['true'], {
    change: (spec) => {
      spec.annotations = annotations
      spec.hooks = {
        createRuntime: [hook(`wc -c > ${place}/count`), hook('exec 0<&-; sleep 0.1'), hook('yes | head -c 300000')],
      }
    },
  })
  assert.equal(exitCode, 0)
  assert.ok(Number(readFileSync(join(place, 'count'), 'utf8')) > 200_000)
})
