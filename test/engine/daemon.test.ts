/** The daemon's own life: one for a root, its socket, and containers that outlive it. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { noEngine, TestEngine, unframe } from './engine.ts'

const main = join(import.meta.dirname, '../../engine/main.ts')

/** A daemon that is expected to refuse. */
const refused = (words: string[]): { code: number | null; said: string } => {
  const { status, stderr } = spawnSync(process.execPath, [main, 'daemon', ...words], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  return { code: status, said: stderr }
}

type Inspected = { State: { Status: string; Running: boolean; ExitCode: number; Pid: number } }

describe('the daemon', { skip: noEngine }, () => {
  test('its socket is for its owner only', async () => {
    await using engine = await TestEngine.start()
    const { mode, uid } = statSync(engine.socket)
    assert.equal(mode & 0o777, 0o660)
    assert.equal(uid, 0)
  })

  test('mirrors and insecure registries are taken, and told', async () => {
    await using engine = await TestEngine.start()
    await engine.end()
    await engine.begin('--registry-mirror', 'http://127.0.0.1:9', '--insecure-registry', '127.0.0.2:9')
    const { RegistryConfig } = (await engine.call('GET', '/info')).json<{
      RegistryConfig: { Mirrors: string[]; IndexConfigs: Record<string, { Secure: boolean }> }
    }>()
    assert.deepEqual(RegistryConfig.Mirrors, ['http://127.0.0.1:9'])
    assert.equal(RegistryConfig.IndexConfigs['127.0.0.2:9']?.Secure, false)
    const { said } = refused([...engine.words, '--registry-mirror', 'nowhere'])
    assert.match(said, /an http:\/\/ or https:\/\/ address is needed/)
  })

  test('a second one on the same root refuses with a sentence and harms nothing', async () => {
    await using engine = await TestEngine.start()
    const { code, said } = refused([...engine.words, '--socket', join(engine.directory, 'other.sock')])
    assert.equal(code, 1)
    assert.match(said, new RegExp(`^drydock: another engine \\(process ${engine.pid}\\) uses `))
    assert.equal((await engine.call('GET', '/_ping')).status, 200)
  })

  test('each on a root of its own shows its own groups, and takes their parent along', async () => {
    const directories: string[] = []
    {
      await using one = await TestEngine.start()
      await using other = await TestEngine.start()
      const id = await one.run('mine', ['sleep', '600'])
      const tree = async (engine: TestEngine) =>
        (await engine.call('GET', '/drydock/cgroups')).json<{ Root: { Path: string; Children: unknown[] } }>().Root
      assert.match(JSON.stringify(await tree(one)), new RegExp(id))
      assert.deepEqual((await tree(other)).Children, [])
      directories.push(...Object.values(detectCgroups().group((await tree(one)).Path).directories))
      assert.ok(directories.some((path) => existsSync(path)))
    }
    assert.deepEqual(
      directories.filter((path) => existsSync(path)),
      [],
    )
  })

  test('a live socket is refused, so is a file; a dead one is replaced', async () => {
    await using engine = await TestEngine.start()
    await engine.end('SIGKILL')
    assert.ok(statSync(engine.socket).isSocket())
    await engine.begin()
    assert.equal((await engine.call('GET', '/_ping')).status, 200)
    await engine.end()
    writeFileSync(engine.socket, 'precious')
    const file = refused([...engine.words, '--socket', engine.socket])
    assert.deepEqual([file.code, /a file that is no socket/.test(file.said)], [1, true])
    rmSync(engine.socket)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(engine.socket, resolve))
    const child = await new Promise<{ code: number | null; said: string }>((resolve) => {
      // Asynchronously: this process has to answer the probe.
      execFile(process.execPath, [main, 'daemon', ...engine.words, '--socket', engine.socket], (error, _out, said) =>
        resolve({ code: Number(error?.code ?? 0), said }),
      )
    })
    await new Promise<void>((resolve) => server.close(() => resolve()))
    assert.deepEqual([child.code, /another engine answers there already/.test(child.said)], [1, true])
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    test(`containers go on after ${signal}, and the next daemon has missed nothing`, async () => {
      await using engine = await TestEngine.start()
      await engine.run('lives', ['sh', '-c', 'while sleep 0.05; do echo tick; done'])
      await engine.run('leaves', ['sh', '-c', 'until [ -e /flag/go ]; do sleep 0.02; done; exit 9'], {
        HostConfig: { NetworkMode: 'none', Mounts: [{ Type: 'bind', Source: engine.directory, Target: '/flag' }] },
      })
      const { State } = (await engine.call('GET', '/containers/leaves/json')).json<Inspected>()
      const before = (await engine.call('GET', '/containers/lives/json')).json<Inspected>()
      await engine.end(signal)
      assert.ok(existsSync(`/proc/${before.State.Pid}`))
      writeFileSync(join(engine.directory, 'go'), '')
      while (existsSync(`/proc/${State.Pid}`)) await sleep(10)
      await engine.begin()
      const after = (await engine.call('GET', '/containers/lives/json')).json<Inspected>()
      assert.deepEqual([after.State.Status, after.State.Pid], ['running', before.State.Pid])
      assert.match(unframe((await engine.call('GET', '/containers/lives/logs?stdout=1')).body).stdout, /tick\n/)
      const gone = (await engine.call('GET', '/containers/leaves/json')).json<Inspected>()
      assert.deepEqual([gone.State.Status, gone.State.ExitCode], ['exited', 9])
      assert.equal((await engine.call('POST', '/containers/lives/stop?t=0')).status, 204)
    })

  test('words that make no sense', () => {
    const cases: [string[], RegExp][] = [
      [['--root', 'relative'], /absolute path/],
      [['--user', 'ann'], /number/],
      [['--nonsense'], /unknown option/],
    ]
    for (const [words, sentence] of cases) assert.match(refused(words).said, sentence)
  })
})
