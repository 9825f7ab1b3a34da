/** `drydock` beside `docker`, on one engine: the same words are to give the same output. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noEngine, TestEngine } from '../engine/engine.ts'
import { startIndex } from '../engine/registry-hostile.ts'
import { noPacketFilter } from '../kernel/packet-filter.ts'

const main = join(import.meta.dirname, '../../engine/main.ts')
const noDocker = noEngine || (spawnSync('docker', ['--version']).status === 0 ? false : 'needs the docker command line')

type Said = { code: number; out: string; error: string }

describe('drydock beside docker', { skip: noDocker || noPacketFilter }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  async function drydock(words: readonly string[], input = ''): Promise<Said> {
    const child = spawn(process.execPath, [main, '-H', `unix://${engine.socket}`, ...words], { stdio: 'pipe' })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: child.exitCode ?? -1, out, error }
  }

  /** Runs it with ours; fails with what it said where it does not end with 0. */
  async function ours(...words: string[]): Promise<string> {
    const { code, out, error } = await drydock(words)
    assert.equal(code, 0, `drydock ${words.join(' ')}: ${error}`)
    return out
  }

  /** Ages in words pass between the two. */
  const timeless = (said: string): string =>
    said.replaceAll(/(Less than a|About a|\d+|1) (second|minute)s?( ago)?/g, 'TIME')

  async function same(...words: string[]): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const [one, other] = await Promise.all([drydock(words), engine.docker(words)])
      const told = ({ code, out }: Said) => ({
        code,
        out: timeless(out).replaceAll(/ +/g, (blank) => (attempt < 2 ? blank : ' ')),
      })
      // The width of a column follows an age that may have passed from "9 seconds" to "10 seconds" in between.
      if (attempt < 3 && JSON.stringify(told(one)) !== JSON.stringify(told(other))) continue
      assert.deepEqual(told(one), told(other), words.join(' '))
      return
    }
  }

  test('lists, formats, inspections', async () => {
    await ours('network', 'create', '--subnet', '10.99.0.0/24', '--label', 'a=b', '--internal', 'sea')
    await ours('volume', 'create', '--label', 'a=b', 'hold')
    await ours(
      'run',
      '-d',
      '--name',
      'ship',
      '--network',
      'sea',
      '-v',
      'hold:/hold',
      '-p',
      '127.0.0.1:0:80',
      '--health-cmd',
      'true',
      '--health-interval',
      '50ms',
      'host',
      'sleep',
      '600',
    )
    await ours('create', '--name', 'raft', '--network', 'none', 'host', 'true')
    while (!(await ours('ps')).includes('(healthy)')) await sleep(50)
    for (const words of [
      ['ps', '-a'],
      ['ps', '-a', '--format', '{{.Names}}\t{{.State}}\t{{.Networks}}\t{{.Mounts}}'],
      ['ps', '--filter', 'health=healthy', '--format', 'table {{.Names}}\t{{.Status}}'],
      ['images'],
      ['network', 'ls'],
      ['network', 'ls', '--format', '{{.Name}} {{.Internal}} {{.Labels}}'],
      ['network', 'inspect', 'sea', '--format', '{{(index .IPAM.Config 0).Subnet}} {{.Internal}}'],
      ['volume', 'ls'],
      ['volume', 'inspect', 'hold', '-f', '{{.Name}} {{.Driver}}'],
      ['inspect', 'ship', '-f', '{{.State.Status}} {{.State.Health.Status}}'],
      ['port', 'ship'],
      ['top', 'ship'],
      ['system', 'df'],
      ['system', 'df', '-v'],
      ['system', 'df', '--format', '{{.Type}}: {{.TotalCount}}'],
      ['inspect', 'nothing-of-this-name'],
    ])
      await same(...words)
  })

  test('networks and volumes: connect, disconnect, remove, prune', async () => {
    await ours('network', 'create', 'lake')
    await ours('network', 'connect', '--alias', 'dinghy', 'lake', 'ship')
    assert.deepEqual(
      JSON.parse(await ours('inspect', 'ship', '-f', '{{json .NetworkSettings.Networks.lake.Aliases}}')),
      ['dinghy'],
    )
    assert.equal((await drydock(['network', 'rm', 'lake'])).code, 1)
    await ours('network', 'disconnect', 'lake', 'ship')
    assert.equal(await ours('network', 'rm', 'lake'), 'lake\n')
    assert.equal((await drydock(['network', 'rm', 'lake'])).code, 1)
    assert.equal(await ours('network', 'rm', '-f', 'lake'), '')
    assert.match((await drydock(['volume', 'rm', 'hold'])).error, /volume is in use/)
    await ours('network', 'create', 'pond')
    await ours('volume', 'create', 'spare')
    const asked = await drydock(['volume', 'prune', '-a'], 'n\n')
    assert.match(
      asked.out,
      /^WARNING! This will remove all local volumes .*\nAre you sure you want to continue\? \[y\/N\] $/,
    )
    assert.equal(await ours('network', 'prune', '-f'), 'Deleted Networks:\npond\n\n')
    const gone = await drydock(['volume', 'prune', '-a'], 'y\n')
    assert.match(gone.out, /Deleted Volumes:\nspare\n\nTotal reclaimed space: 0B\n$/)
    const raft = (await ours('ps', '-aq', '--no-trunc', '--filter', 'name=raft')).trim()
    assert.equal(
      await ours('system', 'prune', '--force'),
      `Deleted Containers:\n${raft}\n\nTotal reclaimed space: 0B\n`,
    )
    await ours('rm', '-f', 'ship')
    assert.equal(await ours('volume', 'rm', 'hold'), 'hold\n')
  })

  test('stats: of what does not move, the same; of what does, columns and names', async () => {
    await ours('run', '-d', '--name', 'still', '--network', 'none', 'host', 'sleep', '600')
    const steady = '{{.Container}} {{.Name}} {{.ID}} {{.PIDs}} {{.NetIO}}'
    await same('stats', '--no-stream', '--format', steady, 'still')
    await same('container', 'stats', '--no-stream', '--no-trunc', '--format', steady, 'still')
    const columns = (text: string): string[] =>
      text.split('\n').map((line) => line.split(/ {2,}/).slice(0, 2).join(' '))
    const words = ['stats', '--no-stream']
    const [one, other] = [await drydock(words), await engine.docker(words)]
    assert.deepEqual([one.code, columns(one.out)], [other.code, columns(other.out)])
    assert.equal(one.out.split('\n')[0]?.replaceAll(/ +/g, ' '), other.out.split('\n')[0]?.replaceAll(/ +/g, ' '))
    assert.match((await drydock(['stats', '--no-stream', 'nobody'])).error, /No such container: nobody/)
    await ours('rm', '-f', 'still')
  })

  test('search', async () => {
    const description = 'a description that is longer than what is shown of it'
    await using index = await startIndex([
      { name: 'few', star_count: 1 },
      { name: 'many', star_count: 20, is_official: true, description },
    ])
    await same('search', `${index.host}/x`)
    await same('search', '--no-trunc', '--filter', 'stars=2', `${index.host}/x`)
    await same('search', '--limit', '2', '--format', '{{.Name}} {{.StarCount}}', `${index.host}/x`)
    await same('search', '--limit', '200', `${index.host}/x`)
  })

  test('layers: diff, commit, history, export', async () => {
    await ours('run', '--name', 'wrote', '--network', 'none', 'host', 'sh', '-c', 'echo x > /srv/made')
    await same('diff', 'wrote')
    const id = await ours('commit', '-m', 'for keeps', '-c', 'CMD ["cat", "/srv/made"]', 'wrote', 'kept:1')
    assert.match(id, /^sha256:[0-9a-f]{64}\n$/)
    for (const words of [
      ['history', 'kept:1'],
      ['history', '-q', 'kept:1'],
      ['image', 'history', '--no-trunc', 'kept:1'],
    ])
      await same(...words)
    assert.equal(await ours('run', '--rm', '--network', 'none', 'kept:1'), 'x\n')
    await ours('rm', 'wrote')
    await ours('image', 'rm', 'kept:1')
  })

  test('words as docker takes them, and refuses them', async () => {
    const file = join(engine.directory, 'labels')
    spawnSync('sh', ['-c', `printf 'one=1\\n# no\\n\\ntwo=2\\n' > ${file}`])
    const flags = ['--network', 'name=none', '--init=false', '--rm=false', '--label-file', file, '--annotation', 'k=v']
    await ours('create', '--name', 'dressed', ...flags, '--no-healthcheck', 'host', 'echo', '--rm=true')
    const { Config, HostConfig, Args } = (
      JSON.parse(await ours('inspect', 'dressed')) as Record<string, never>[]
    )[0] as never
    assert.deepEqual((Config as { Labels: object }).Labels, { one: '1', two: '2' })
    assert.equal((HostConfig as { AutoRemove: boolean }).AutoRemove, false)
    assert.deepEqual((HostConfig as { Annotations: object }).Annotations, { k: 'v' })
    assert.deepEqual(Args, ['--rm=true'])
    await ours('rm', 'dressed')
    assert.match((await drydock(['run', '-it', '--rm', 'host', 'true'])).error, /the input device is not a TTY/)
    const unreachable = await drydock(['pull', 'localhost:1/x'])
    assert.equal(unreachable.code, 1)
    assert.match(unreachable.error, /^drydock: Error response from daemon: .*connection refused\n$/)
    assert.equal((await drydock(['run', '--rm', '--network', 'none', 'host', 'sh', '-c', 'exit 7'])).code, 7)
  })

  test('a reader that has seen enough is no error', () => {
    const line = `${process.execPath} ${main} -H unix://${engine.socket} info | head -n 1`
    const { stdout, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' })
    assert.deepEqual([stdout, stderr], ['Server:\n', ''])
  })
})
