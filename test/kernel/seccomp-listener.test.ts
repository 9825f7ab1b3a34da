/** SCMP_ACT_NOTIFY: the listener reaches an agent that nobody here wrote, with the state that the standard says. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isKind } from '../../engine/base/errors.ts'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { Shim, Supervisors } from '../../engine/shim/shim.ts'
import { startSupervisors } from '../../engine/shim/spawner-client.ts'
import type { OciSeccomp } from '../../engine/spec/oci.ts'
import { makeBundle, type TestBundle } from './bundle.ts'

const skip =
  (process.getuid?.() !== 0 && 'needs root') ||
  (spawnSync('python3', ['-c', 'import socket; socket.recv_fds']).status !== 0 && 'needs python3 from 3.9')

/** Takes listeners, one after the other, and answers the first call on each: ENOSPC. Says what it was told. */
const agentScript = `
import fcntl, socket, struct, sys
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen()
while True:
    connection, _ = server.accept()
    state, fds, _, _ = socket.recv_fds(connection, 65536, 4)
    while more := connection.recv(65536): state += more
    print(len(fds), state.decode(), flush=True)
    request = fcntl.ioctl(fds[0], 0xc0502100, bytes(80))
    fcntl.ioctl(fds[0], 0xc0182101, struct.pack('=QqiI', struct.unpack_from('=Q', request)[0], 0, -28, 0))
`

let supervisors: Supervisors
let directory = ''
let agent: ChildProcess | undefined
let told = ''
before(async () => {
  if (skip !== false) return
  supervisors = await startSupervisors({
    program: resolve(import.meta.dirname, '../../engine/shim/spawner.ts'),
    node: process.execPath,
  })
  directory = mkdtempSync('/var/tmp/drydock-listener-')
  agent = spawn('python3', ['-c', agentScript, join(directory, 'agent')], { stdio: ['ignore', 'pipe', 'inherit'] })
  agent.stdout?.on('data', (chunk: Buffer) => {
    told += chunk.toString()
  })
  while (!existsSync(join(directory, 'agent'))) await sleep(20)
})
after(async () => {
  if (skip !== false) return
  agent?.kill('SIGKILL')
  await supervisors.close()
  rmSync(directory, { recursive: true })
  detectCgroups().group('/drydock-test').remove()
})

/** More than goes along with a descriptor at once. */
const annotations = { 'org.example': 'yes'.repeat(2000) }

const asking = (path: string): OciSeccomp => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  listenerPath: path,
  listenerMetadata: 'for the agent',
  syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' }],
})

async function launch(command: string, seccomp: OciSeccomp): Promise<{ bundle: TestBundle; shim: Shim }> {
  const bundle = makeBundle(['sh', '-c', command], {
    change: (spec) => {
      spec.linux = { ...spec.linux, seccomp }
      spec.annotations = annotations
    },
  })
  return { bundle, shim: await supervisors.launch(bundle.directory) }
}

type Told = { pid: number; state: { pid: number; status: string; id: string } }

async function nextTold(): Promise<{ descriptors: number; said: Told }> {
  for (;;) {
    const at = told.indexOf('\n')
    if (at >= 0) {
      const line = told.slice(0, at)
      told = told.slice(at + 1)
      return { descriptors: Number(line[0]), said: JSON.parse(line.slice(2)) as Told }
    }
    await sleep(20)
  }
}

test('of the first process and of one that joins', { skip }, async () => {
  const { bundle, shim } = await launch('mkdir /tmp/x || sleep 600', asking(join(directory, 'agent')))
  using _bundle = bundle
  const { pid } = await shim.create()
  await shim.start()
  const first = await nextTold()
  const state = { ociVersion: '1.2.0', id: bundle.id, status: 'creating', pid, bundle: bundle.directory }
  const expected = { ociVersion: '1.2.0', fds: ['seccompFd'], pid, metadata: 'for the agent' }
  assert.deepEqual(first, { descriptors: 1, said: { ...expected, state: { ...state, annotations } } })
  const exec = await shim.exec({
    execId: 'second',
    process: { user: { uid: 0, gid: 0 }, args: ['mkdir', '/tmp/y'], env: ['PATH=/usr/bin'], cwd: '/' },
    openStdin: false,
  })
  assert.equal((await shim.execExited('second')).exitCode, 1)
  const second = await nextTold()
  assert.deepEqual([second.said.pid, second.said.state.pid, second.said.state.status], [exec.pid, pid, 'running'])
  await shim.killAll()
  await shim.exited
  await shim.release()
})

test('an agent that is not there', { skip }, async () => {
  const { bundle, shim } = await launch('true', asking(join(directory, 'nobody')))
  using _bundle = bundle
  await shim.create()
  await assert.rejects(
    shim.start(),
    (error) => isKind(error, 'invalid') && /listenerPath: .*nobody/.test(error.message),
  )
  await shim.release()
})

test('a filter that asks nobody, and words for nobody, are refused', { skip }, async () => {
  const { listenerPath: _path, listenerMetadata: _words, ...nobody } = asking('')
  const words = { defaultAction: 'SCMP_ACT_ALLOW', listenerMetadata: 'x' }
  for (const [seccomp, pattern] of [
    [nobody, /linux\.seccomp\.listenerPath: is needed/],
    [words, /linux\.seccomp\.listenerMetadata: must not/],
  ] as const) {
    const { bundle, shim } = await launch('true', seccomp)
    using _bundle = bundle
    await assert.rejects(shim.create(), pattern)
    await shim.release().catch(() => undefined)
  }
})
