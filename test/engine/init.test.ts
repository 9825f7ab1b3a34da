/** `docker run --init`: the engine's own first process, through the docker command line and over the socket. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noEngine, TestEngine } from './engine.ts'

type Inspected = {
  Path: string
  Args: string[]
  HostConfig: { Init: boolean }
  Mounts: unknown[]
  State: { Pid: number; ExitCode: number }
}

const noClient = spawnSync('docker', ['--version']).error !== undefined && 'the docker command line is not installed'

describe('--init', { skip: noEngine || noClient }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const run = (...words: string[]): Promise<{ code: number; out: string; error: string }> =>
    engine.docker(['run', '--rm', '--network', 'none', ...words])
  const inspect = async (name: string): Promise<Inspected> =>
    (await engine.call('GET', `/containers/${name}/json`)).json<Inspected>()

  test('it is process 1, the command its child in a group of its own; inspect has the words of the user', async () => {
    const started = await engine.docker([
      'run',
      '-d',
      '--init',
      '--network',
      'none',
      '--name',
      'seen',
      'host',
      'sleep',
      '600',
    ])
    assert.equal(started.code, 0, started.error)
    const shown = await engine.docker(['exec', 'seen', 'ps', '-o', 'pid=,ppid=,pgid=,args=', '-p', '1', '--ppid', '1'])
    assert.deepEqual(
      shown.out
        .trim()
        .split('\n')
        .map((line) => line.trim().replaceAll(/ +/g, ' ')),
      ['1 0 1 /sbin/docker-init -- sleep 600', '2 1 2 sleep 600'],
      shown.error,
    )
    const { Path, Args, HostConfig, Mounts } = await inspect('seen')
    assert.deepEqual([Path, Args, HostConfig.Init, Mounts], ['sleep', ['600'], true, []])
    const written = await engine.docker(['exec', 'seen', 'sh', '-c', 'echo x >/sbin/docker-init'])
    assert.notEqual(written.code, 0)
    assert.match(written.error, /Read-only file system|Text file busy/)
    assert.equal(statSync(join(engine.directory, 'run/init')).mode & 0o7777, 0o755)
    await engine.call('DELETE', '/containers/seen?force=1')
  })

  test('exit codes pass, and what cannot be run is told', async () => {
    assert.equal((await run('--init', 'host', 'sh', '-c', 'exit 7')).code, 7)
    assert.equal((await run('--init', '--read-only', '--user', '1000', 'host', 'sh', '-c', 'exit 9')).code, 9)
    assert.equal((await run('--init', 'host', 'sh', '-c', 'kill -TERM $$')).code, 143)
    const missing = await run('--init', 'host', 'nosuch')
    assert.deepEqual(missing, {
      code: 127,
      out: '',
      error: 'docker-init: cannot run nosuch: No such file or directory\n',
    })
    const denied = await run('--init', 'host', '/etc')
    assert.deepEqual(denied, { code: 126, out: '', error: 'docker-init: cannot run /etc: Permission denied\n' })
  })

  test('orphans are reaped when they end', async () => {
    // The shell between goes before the one that it started, which then is an orphan; wait until process 1 had it.
    const script = `
      orphan=$(sh -c 'sh -c "sleep 0.1" >/dev/null & echo $!')
      while [ -e /proc/$orphan ]; do sleep 0.05; done
      grep -l '^State:.Z' /proc/[0-9]*/status
      echo reaped`
    const { code, out, error } = await run('--init', 'host', 'timeout', '20', 'sh', '-c', script)
    assert.deepEqual([code, out, error], [0, 'reaped\n', ''])
  })

  test('stop ends at once what has no handler of its own', async () => {
    await engine.docker(['run', '-d', '--init', '--network', 'none', '--name', 'plain', 'host', 'sleep', '600'])
    // Without an init, sleep as process 1 would not hear SIGTERM, and SIGKILL would make it 137.
    const stopped = await engine.docker(['stop', '-t', '60', 'plain'])
    assert.equal(stopped.code, 0, stopped.error)
    assert.equal((await inspect('plain')).State.ExitCode, 143)
    await engine.call('DELETE', '/containers/plain?force=1')
  })

  test('a terminal belongs to the command', async () => {
    const { code, out } = await run('--init', '-t', 'host', 'sh', '-c', 'cut -d " " -f 5,8 /proc/$$/stat')
    assert.equal(code, 0)
    assert.equal(out.trim(), '2 2')
  })

  test('in a shared process namespace there is none', async () => {
    const script = 'tr "\\0" " " </proc/$PPID/cmdline; cat /proc/self/mountinfo'
    const { code, out } = await run('--init', '--pid', 'host', 'host', 'sh', '-c', script)
    assert.equal(code, 0)
    assert.match(out, / \/etc\/hosts /)
    assert.doesNotMatch(out, /docker-init/)
  })

  test('a directory of which nothing may be executed is no hindrance, a changed file is replaced', async () => {
    const place = join(engine.directory, 'run')
    await engine.end()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec,nosuid,nodev', 'tmpfs', place])
    try {
      await engine.begin()
      execFileSync('sh', ['-c', `echo torn >${place}/init; chmod 600 ${place}/init`])
      assert.equal((await run('--init', 'host', 'sh', '-c', 'exit 7')).code, 7)
    } finally {
      await engine.end()
      execFileSync('umount', ['-l', place])
      await engine.begin()
    }
  })
})
