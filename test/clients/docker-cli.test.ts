/** Docker's own command line, unchanged, against this engine. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noEngine, TestEngine } from '../engine/engine.ts'
import { noPacketFilter } from '../kernel/packet-filter.ts'

const noDocker = noEngine || (spawnSync('docker', ['--version']).status === 0 ? false : 'needs the docker command line')

describe('docker', { skip: noDocker }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  /** The output; fails with what docker said where it does not end with 0. */
  async function docker(...args: string[]): Promise<string> {
    const { code, out, error } = await engine.docker(args)
    assert.equal(code, 0, `docker ${args.join(' ')}: ${error}`)
    return out
  }

  const run = ['run', '--rm', '--network', 'none']

  test('version and info', async () => {
    assert.match(await docker('version', '--format', '{{.Server.APIVersion}}'), /^1\.51$/m)
    const info = JSON.parse(await docker('info', '--format', '{{json .}}')) as Record<string, unknown>
    assert.equal(info.OSType, 'linux')
    assert.equal(info.ServerErrors, undefined)
    assert.match(await docker('images', '--format', '{{.Repository}}:{{.Tag}}'), /^host:latest$/m)
  })

  test('run: output, exit code, input, failures as docker tells them', async () => {
    assert.equal(await docker(...run, 'host', 'echo', 'hello'), 'hello\n')
    assert.equal((await engine.docker([...run, 'host', 'sh', '-c', 'exit 7'])).code, 7)
    assert.equal((await engine.docker([...run, '-i', 'host', 'cat'], 'words')).out, 'words')
    const missing = await engine.docker([...run, 'host', 'no-such-program'])
    assert.deepEqual([missing.code, /executable file not found in \$PATH/.test(missing.error)], [127, true])
    assert.equal((await engine.docker([...run, 'host', '/etc'])).code, 126)
    assert.equal((await docker('ps', '-aq')).trim(), '')
  })

  test('a container from run to rm', async () => {
    const id = (
      await docker('run', '-d', '--network', 'none', '--name', 'walk', '--label', 'a=b', 'host', 'sleep', '600')
    ).trim()
    assert.match(id, /^[0-9a-f]{64}$/)
    assert.match(await docker('ps', '--format', '{{.Names}} {{.Image}} {{.State}}'), /^walk host running$/m)
    assert.equal((await docker('ps', '-q', '--no-trunc', '--filter', 'label=a=b')).trim(), id)
    assert.equal(await docker('exec', 'walk', 'echo', 'inside'), 'inside\n')
    assert.equal((await engine.docker(['exec', 'walk', 'sh', '-c', 'exit 3'])).code, 3)
    assert.equal((await engine.docker(['exec', '-i', 'walk', 'cat'], 'through')).out, 'through')
    assert.match(await docker('top', 'walk'), /sleep 600/)
    assert.match(await docker('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}'), /^walk 1$/m)
    await docker('pause', 'walk')
    assert.match(await docker('ps', '--format', '{{.Status}}'), /\(Paused\)$/m)
    await docker('unpause', 'walk')
    await docker('rename', 'walk', 'strolls')
    await docker('update', '--memory', '64m', '--memory-swap', '128m', 'strolls')
    assert.equal((await docker('inspect', '--format', '{{.HostConfig.Memory}}', 'strolls')).trim(), '67108864')
    await docker('stop', '-t', '0', 'strolls')
    assert.equal((await docker('wait', 'strolls')).trim(), '137')
    await docker('start', 'strolls')
    await docker('restart', '-t', '0', 'strolls')
    const held = await engine.docker(['rm', 'strolls'])
    assert.match(held.error, /container is running: stop the container before removing or force remove/)
    await docker('rm', '-f', 'strolls')
    assert.match((await engine.docker(['inspect', 'strolls'])).error, /No such object: strolls/i)
  })

  test('cp in and out, diff', async () => {
    await docker('run', '-d', '--network', 'none', '--name', 'files', 'host', 'sleep', '600')
    const folder = join(engine.directory, 'folder')
    mkdirSync(folder)
    writeFileSync(join(folder, 'note'), 'from outside\n')
    await docker('cp', folder, 'files:/srv/')
    assert.equal(await docker('exec', 'files', 'cat', '/srv/folder/note'), 'from outside\n')
    await docker('exec', 'files', 'sh', '-c', 'echo more >> /srv/folder/note')
    await docker('cp', 'files:/srv/folder/note', join(engine.directory, 'back'))
    assert.equal(readFileSync(join(engine.directory, 'back'), 'utf8'), 'from outside\nmore\n')
    assert.match(await docker('diff', 'files'), /^A \/srv\/folder\/note$/m)
    await docker('rm', '-f', 'files')
  })

  test('networks, published ports, names', { skip: noPacketFilter }, async () => {
    await docker('network', 'create', 'sea')
    await docker(
      'run',
      '-d',
      '--name',
      'ship',
      '--network',
      'sea',
      '-p',
      '127.0.0.1::8000',
      'host',
      'python3',
      '-m',
      'http.server',
    )
    const address = (await docker('port', 'ship', '8000')).trim()
    assert.match(address, /^127\.0\.0\.1:\d+$/)
    assert.match(await docker('network', 'inspect', 'sea', '--format', '{{json .Containers}}'), /"Name":"ship"/)
    assert.match((await engine.docker(['network', 'rm', 'sea'])).error, /active endpoints/)
    await docker('rm', '-f', 'ship')
    await docker('network', 'rm', 'sea')
  })

  test('volumes keep what containers write', async () => {
    await docker('volume', 'create', '--label', 'a=b', 'hold')
    await docker(...run, '-v', 'hold:/hold', 'host', 'sh', '-c', 'echo cargo > /hold/x')
    assert.equal(await docker(...run, '-v', 'hold:/hold:ro', 'host', 'cat', '/hold/x'), 'cargo\n')
    assert.equal((await docker('volume', 'ls', '-q', '--filter', 'label=a=b')).trim(), 'hold')
    await docker('volume', 'rm', 'hold')
    assert.match((await engine.docker(['volume', 'inspect', 'hold'])).error, /no such volume/)
  })

  test('logs of each driver, and a health check', async () => {
    const say = ['host', 'sh', '-c', 'for i in 1 2 3; do echo line $i; done; sleep 600']
    for (const driver of ['json-file', 'local']) {
      await docker('run', '-d', '--network', 'none', '--name', driver, '--log-driver', driver, ...say)
      while (!(await docker('logs', driver)).includes('line 3')) await sleep(20)
      assert.equal(await docker('logs', '--tail', '2', driver), 'line 2\nline 3\n')
      const path = await docker('inspect', '--format', '{{.LogPath}}', driver)
      assert.equal(path.trim() !== '', driver === 'json-file')
    }
    await docker('run', '-d', '--network', 'none', '--name', 'mute', '--log-driver', 'none', ...say)
    assert.match((await engine.docker(['logs', 'mute'])).error, /configured logging driver does not support reading/)
    const tuned = ['--log-opt', 'compress=true', 'host', 'true']
    assert.match((await engine.docker(['create', ...tuned])).error, /rotated log files stay as they are/)
    const check = ['--health-cmd', 'test -e /etc/passwd', '--health-interval', '100ms']
    await docker('run', '-d', '--network', 'none', '--name', 'well', ...check, 'host', 'sleep', '600')
    const status = () => docker('ps', '--filter', 'name=well', '--format', '{{.Status}}')
    while (!(await status()).includes('(healthy)')) await sleep(20)
    assert.equal((await docker('inspect', '--format', '{{.State.Health.Status}}', 'well')).trim(), 'healthy')
    await docker('rm', '-f', 'json-file', 'local', 'mute', 'well')
  })

  test('system prune, in one go', async () => {
    await docker('create', '--name', 'spent', '--network', 'none', 'host', 'true')
    assert.match(await docker('system', 'prune', '--force', '--volumes'), /^Deleted Containers:\n[0-9a-f]{64}\n/)
  })

  test('events tell it in order', async () => {
    await docker('run', '--rm', '--name', 'told', '--network', 'none', 'host', 'true')
    const now = Math.floor(Date.now() / 1000) + 1
    const seen = await docker(
      'events',
      '--since',
      '1',
      '--until',
      `${now}`,
      '--filter',
      'container=told',
      '--format',
      '{{.Action}}',
    )
    assert.deepEqual(seen.trim().split('\n'), ['create', 'attach', 'start', 'die', 'destroy'])
  })
})
