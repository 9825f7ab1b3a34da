/** `--userns-remap`: containers whose root is nobody on the machine, on images that nobody chowned. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noEngine, TestEngine, unframe } from './engine.ts'

const noClient = spawnSync('docker', ['--version']).error !== undefined && 'the docker command line is not installed'

/** A user that every Debian has, with ids of its own for as long as the test lasts. */
const user = 'daemon'
const first = 300_000
const line = `${user}:${first}:70000`
const files = ['/etc/subuid', '/etc/subgid'] as const

describe('--userns-remap', { skip: noEngine || noClient }, () => {
  let engine: TestEngine
  before(async () => {
    for (const path of files) appendFileSync(path, `${line}\n`)
    try {
      engine = await TestEngine.start('--userns-remap', user)
    } finally {
      // Only our own line: others may have changed the file meanwhile.
      for (const path of files) writeFileSync(path, readFileSync(path, 'utf8').replace(`${line}\n`, ''))
    }
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const docker = (...words: string[]) => engine.docker(words)
  const run = (...words: string[]) => docker('run', '--rm', '--network', 'none', ...words)
  const sh = async (script: string, ...words: string[]): Promise<string> => {
    const { code, out, error } = await run(...words, 'host', 'sh', '-c', script)
    assert.equal(code, 0, error)
    return out
  }

  test('info says so; root inside is nobody outside, with the capabilities of its own namespace', async () => {
    const info = await engine.call('GET', '/info')
    assert.ok(info.json<{ SecurityOptions: string[] }>().SecurityOptions.includes('name=userns'))
    const out = await sh(
      "id -u; cat /proc/self/uid_map; stat -c '%u' /proc/self/ /usr/bin/env /etc/hosts; grep CapEff /proc/self/status",
    )
    const [uid, map = '', ...rest] = out.trim().split('\n')
    assert.deepEqual([uid, map.trim().split(/ +/)], ['0', ['0', `${first}`, '70000']])
    assert.deepEqual(rest, ['0', '0', '0', 'CapEff:\t00000000a80425fb'])
  })

  test('what it makes belongs on the disk to whom it says; diff, commit, cp and export have its owners', async () => {
    const id = await engine.run('owners', [
      'sh',
      '-c',
      'echo x >/made; chown 11:12 /made; echo y >/run/done; sleep 600',
    ])
    for (let tries = 0; tries < 100; tries += 1) {
      const changes = await engine.call('GET', '/containers/owners/changes')
      if (changes.text.includes('/run/done')) break
    }
    const owners = async (path: string): Promise<string[]> => {
      const { body } = await engine.call('GET', `/containers/owners/archive?path=${path}`)
      const listed = spawnSync('tar', ['--numeric-owner', '-tvf', '-'], { input: body }).stdout.toString()
      return listed
        .trim()
        .split('\n')
        .map((line) => line.split(/ +/)[1] ?? '')
    }
    assert.deepEqual([await owners('/made'), await owners('/run/done')], [['11/12'], ['0/0']])
    // Into the running container: the archive's numbers are the container's.
    const local = join(engine.directory, 'local')
    mkdirSync(join(local, 'tree'), { recursive: true })
    writeFileSync(join(local, 'tree/file'), 'z')
    const tar = spawnSync('tar', [
      '--owner=21',
      '--group=22',
      '--numeric-owner',
      '-C',
      local,
      '-cf',
      '-',
      'tree/file',
    ]).stdout
    const put = await engine.call('PUT', '/containers/owners/archive?path=/srv', { raw: tar })
    assert.equal(put.status, 200, put.text)
    const seen = await docker('exec', 'owners', 'stat', '-c', '%u:%g', '/srv/tree', '/srv/tree/file')
    assert.equal(seen.out, '0:0\n21:22\n', seen.error)
    const far = spawnSync('tar', [
      '--owner=70001',
      '--group=0',
      '--numeric-owner',
      '-C',
      local,
      '-cf',
      '-',
      'tree/file',
    ]).stdout
    const refused = await engine.call('PUT', '/containers/owners/archive?path=/srv', { raw: far })
    assert.deepEqual([refused.status, /70001:0 is nobody/.test(refused.text)], [400, true], refused.text)
    const committed = await engine.call('POST', '/commit?container=owners&repo=remapped')
    assert.equal(committed.status, 201, committed.text)
    await engine.call('DELETE', '/containers/owners?force=1')
    assert.equal((await run('remapped', 'stat', '-c', '%u:%g', '/made', '/srv/tree/file')).out, '11:12\n21:22\n')
    // The same image without the map: the same owners.
    assert.equal((await run('--userns', 'host', 'remapped', 'stat', '-c', '%u:%g', '/made')).out, '11:12\n')
    assert.ok(id.length === 64)
  })

  test('volumes are the container’s, binds the machine’s', async () => {
    const place = join(engine.directory, 'bound')
    mkdirSync(place)
    writeFileSync(join(place, 'of-root'), 'secret', { mode: 0o600 })
    const out = await sh(
      'stat -c %u /data /bound; echo x >/data/new; chown 5 /data/new; cat /bound/of-root 2>&1; touch /bound/new 2>&1; true',
      '-v',
      'kept:/data',
      '-v',
      `${place}:/bound`,
    )
    assert.match(out, /^0\n65534\ncat: .*Permission denied\ntouch: .*Permission denied\n$/)
    assert.equal(statSync(join(engine.directory, 'root/volumes/kept/_data/new')).uid, 5)
    chmodSync(place, 0o777)
    await sh('touch /bound/new', '-v', `${place}:/bound`)
    assert.equal(statSync(join(place, 'new')).uid, first)
    assert.equal(await sh('stat -c %u /data/new', '--userns', 'host', '-v', 'kept:/data'), '5\n')
  })

  test('a network of its own, which its root may change; another container in it', {
    skip: noPacketFilter,
  }, async () => {
    const started = await docker('run', '-d', '--name', 'web', '--cap-add', 'NET_ADMIN', 'host', 'sleep', '600')
    assert.equal(started.code, 0, started.error)
    const seen = await docker(
      'exec',
      'web',
      'sh',
      '-c',
      'ip -o addr show dev eth0; ip link set lo mtu 1400 && cat /etc/hosts; cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
    )
    assert.equal(seen.code, 0, seen.error)
    const [address = ''] = /inet ([\d.]+)/.exec(seen.out)?.slice(1) ?? []
    assert.match(seen.out, new RegExp(`^${address.replaceAll('.', '\\.')}\\s+[0-9a-f]{12}$`, 'm'))
    assert.match(seen.out, /^0$/m)
    const other = await docker(
      'run',
      '--rm',
      '--network',
      'container:web',
      'host',
      'sh',
      '-c',
      'ip -o addr show dev eth0; readlink /proc/self/ns/user',
    )
    assert.ok(other.out.includes(address) && address !== '', other.error)
    const own = await docker('exec', 'web', 'readlink', '/proc/self/ns/user')
    assert.ok(other.out.includes(own.out.trim()))
    const mixed = await docker('run', '--rm', '--userns', 'host', '--network', 'container:web', 'host', 'true')
    assert.match(mixed.error, /only one of the two is in the host's user namespace/)
    await engine.call('DELETE', '/containers/web?force=1')
  })

  test('a terminal, an exec as another user, streams opened anew, logs', async () => {
    await engine.run('streams', ['sh', '-c', 'echo one >/dev/stdout; echo two >/dev/stderr; sleep 600'])
    const exec = await docker('exec', '-u', '1000:1000', 'streams', 'sh', '-c', 'id -u; echo again >/dev/stdout')
    assert.deepEqual([exec.code, exec.out], [0, '1000\nagain\n'], exec.error)
    const logs = await engine.call('GET', '/containers/streams/logs?stdout=1&stderr=1')
    assert.deepEqual(unframe(logs.body), { stdout: 'one\n', stderr: 'two\n' })
    assert.match(await sh('tty; echo x >/dev/tty', '-t'), /^\/dev\/pts\/0\r\nx\r\n$/)
    await engine.call('DELETE', '/containers/streams?force=1')
  })

  test('what needs the machine’s users is refused in Docker’s words; with its users it is there', async () => {
    const cases: [string[], RegExp][] = [
      [
        ['--privileged'],
        /privileged mode is incompatible with user namespaces\. {2}You must run the container in the host namespace/,
      ],
      [['--network', 'host'], /cannot share the host's network namespace when user namespaces are enabled/],
      [['--pid', 'host'], /cannot share the host PID namespace when user namespaces are enabled/],
    ]
    for (const [words, pattern] of cases) {
      const refused = await docker('create', ...words, 'host', 'true')
      assert.notEqual(refused.code, 0)
      assert.match(refused.error, pattern)
      const network = words.includes('--network') ? [] : ['--network', 'none']
      assert.equal((await docker('run', '--rm', '--userns', 'host', ...network, ...words, 'host', 'true')).code, 0)
    }
    assert.match(await sh('cat /proc/self/uid_map', '--userns', 'host'), /^ *0 +0 +4294967295$/m)
  })

  test('devices, tmpfs, shared memory, limits', async () => {
    const out = await sh(
      'echo >/dev/null; mknod /tmp/n c 1 3 2>&1; touch /t/x /dev/shm/y; stat -c %u /t/x; ulimit -n; cat /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs 2>/dev/null | head -1 | wc -l',
      '--tmpfs',
      '/t',
      '--ulimit',
      'nofile=99:100',
      '--device',
      '/dev/zero:/dev/zero',
    )
    assert.match(out, /^mknod: .*not permitted\n0\n99\n1\n$/)
  })

  test('a daemon that starts without the option finds the containers, and sees their owners', async () => {
    await engine.run('stays', ['sh', '-c', 'touch /made; sleep 600'])
    await engine.end()
    await engine.begin()
    const read = await engine.call('GET', '/containers/stays/archive?path=/made')
    assert.match(spawnSync('tar', ['--numeric-owner', '-tvf', '-'], { input: read.body }).stdout.toString(), / 0\/0 /)
    await engine.call('POST', '/containers/stays/restart?t=0')
    const map = await docker('exec', 'stays', 'sh', '-c', 'cat /proc/self/uid_map; stat -c %u /made')
    assert.match(map.out, /^ *0 +0 +4294967295\n0\n$/, map.error)
    await engine.call('DELETE', '/containers/stays?force=1')
  })
})
