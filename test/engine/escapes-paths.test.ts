/**
 * Ways out through paths: links, races, and what an image or a volume puts where the engine reaches. Each test tries
 * one, and finds itself inside.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noEngine, TestEngine } from './engine.ts'

const noClient = spawnSync('docker', ['--version']).error !== undefined && 'the docker command line is not installed'
const noPython = spawnSync('python3', ['--version']).error !== undefined && 'needs python3'

/** Exchanges two names as fast as it can; renameat2(2) RENAME_EXCHANGE. */
const exchanger = `
import ctypes, sys
libc = ctypes.CDLL(None)
one, other = sys.argv[1].encode(), sys.argv[2].encode()
while True: libc.renameat2(-100, one, -100, other, 2)
`

describe('ways out through paths', { skip: noEngine || noClient }, () => {
  let engine: TestEngine
  let marker: string
  before(async () => {
    engine = await TestEngine.start()
    // On the machine, at a path that no container has.
    marker = join(engine.directory, 'marker')
    mkdirSync(marker)
    writeFileSync(join(marker, 'secret'), 'of the machine')
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })
  const untouched = (): void => {
    assert.deepEqual(readdirSync(marker), ['secret'])
    assert.equal(readFileSync(join(marker, 'secret'), 'utf8'), 'of the machine')
  }
  const run = (...words: string[]) => engine.docker(['run', '--rm', '--network', 'none', ...words])
  const sh = async (options: string[], script: string): Promise<string> => {
    const { code, out, error } = await run(...options, 'host', 'sh', '-c', script)
    assert.equal(code, 0, error)
    return out
  }
  /** A running container that swaps `/race/here` (a directory) and `/race/there` (a link to the machine's marker). */
  const racing = async (name: string): Promise<void> => {
    await sh(
      ['-v', `${name}:/race`],
      `mkdir /race/here; echo inside >/race/here/secret; ln -s ${marker} /race/there; ln -s ../../../../../../../..${marker} /race/far`,
    )
    await engine.run(name, ['python3', '-c', exchanger, '/race/here', '/race/there'], {
      HostConfig: { NetworkMode: 'none', Binds: [`${name}:/race`] },
    })
  }
  const remove = (name: string) => engine.call('DELETE', `/containers/${name}?force=1&v=1`)

  test('no descriptor leads out, as a working directory or otherwise (CVE-2024-21626)', async () => {
    assert.equal((await sh([], 'ls /proc/self/fd')).trim(), '0\n1\n2\n3')
    await engine.run('cwd', ['sleep', '600'])
    for (let fd = 3; fd < 24; fd += 1) {
      const path = `/proc/self/fd/${fd}`
      const started = await run('--workdir', path, 'host', 'sh', '-c', 'pwd -P; ls -a ../../.. | wc -l')
      const entered = await engine.docker(['exec', '--workdir', path, 'cwd', 'pwd', '-P'])
      for (const { code, out, error } of [started, entered]) {
        if (code === 0) assert.fail(`${path}: ${out}`)
        assert.match(`${out}${error}`, /chdir to cwd|symbolic link|openat2|mkdirat|lies outside of the container root/)
      }
    }
    untouched()
    await remove('cwd')
  })

  test('a mount whose place is exchanged for a link meanwhile stays inside (CVE-2021-30465)', {
    skip: noPython,
  }, async () => {
    await racing('mounts')
    for (let tries = 0; tries < 25; tries += 1) {
      const { code, out, error } = await run(
        '-v',
        'mounts:/race',
        '--tmpfs',
        `/race/here/deep-${tries}`,
        '-v',
        `loot:/race/far/loot-${tries}`,
        'host',
        'cat',
        '/proc/self/mountinfo',
      )
      // The race may make it fail; what it mounted is its own all the same.
      if (code !== 0) assert.match(error, /mounts\[\d+\]|No such file|not a directory|Too many/i)
      assert.doesNotMatch(out, new RegExp(` ${engine.directory}/marker `))
      untouched()
    }
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    assert.doesNotMatch(mounts, /deep-|loot-/)
    await remove('mounts')
  })

  test('a part of a volume that is a link to the machine when it is mounted (CVE-2021-25741)', {
    skip: noPython,
  }, async () => {
    await racing('parts')
    const part = { Type: 'volume', Source: 'parts', Target: '/m', VolumeOptions: { Subpath: 'here' } }
    const body = {
      Image: 'host',
      Cmd: ['cat', '/m/secret'],
      Tty: true,
      HostConfig: { NetworkMode: 'none', Mounts: [part] },
    }
    assert.equal((await engine.call('POST', '/containers/create?name=part', { body })).status, 201)
    let started = 0
    for (let tries = 0; tries < 40; tries += 1) {
      const { status, text } = await engine.call('POST', '/containers/part/start')
      if (status !== 204) assert.match(text, /no such file or directory|not a directory/)
      else started += 1
      await engine.call('POST', '/containers/part/wait')
    }
    const said = (await engine.call('GET', '/containers/part/logs?stdout=1')).text
    assert.doesNotMatch(said, /of the machine/)
    assert.ok(started > 0 && said.includes('inside'), `${started}: ${said}`)
    await engine.call('DELETE', '/containers/part')
    await remove('parts')
  })

  test('cp through a link that is one only now and then (CVE-2018-15664)', { skip: noPython }, async () => {
    await racing('copies')
    const archive = spawnSync('tar', ['-C', marker, '-cf', '-', 'secret']).stdout
    const planted = Buffer.from(archive)
    planted.write('of a container', planted.indexOf('of the machine'))
    let inside = 0
    for (let tries = 0; tries < 60; tries += 1) {
      for (const path of ['/race/here/secret', '/race/there/secret', '/race/far/secret']) {
        const read = await engine.call('GET', `/containers/copies/archive?path=${path}`)
        assert.ok(!read.body.includes('of the machine'), path)
        if (read.body.includes('inside') || read.body.includes('of a container')) inside += 1
      }
      await engine.call('PUT', '/containers/copies/archive?path=/race/here', { raw: planted })
      await engine.call('PUT', '/containers/copies/archive?path=/race/far', { raw: planted })
      await engine.call('HEAD', '/containers/copies/archive?path=/race/here/secret')
      untouched()
    }
    assert.ok(inside > 0)
    await remove('copies')
  })

  test('a null device that is something else masks nothing and is not used (CVE-2025-31133)', async () => {
    await sh(['-v', 'dev:/v'], 'ln -s /proc/sysrq-trigger /v/null; mkdir /v/pts /v/shm /v/mqueue; true')
    const linked = await run('-v', 'dev:/dev', 'host', 'true')
    assert.notEqual(linked.code, 0)
    assert.match(linked.error, /something else is there|\/dev\/null is not the null device/)
    await sh(['-v', 'file:/v'], 'echo writable >/v/null; mkdir /v/pts /v/shm /v/mqueue')
    const plain = await run('-v', 'file:/dev', 'host', 'sh', '-c', 'cat /proc/keys')
    assert.notEqual(plain.code, 0)
    assert.match(plain.error, /something else is there|\/dev\/null is not the null device/)
    await engine.call('DELETE', '/volumes/dev')
    await engine.call('DELETE', '/volumes/file')
  })

  test('nothing stands in for /proc, where settings and labels are written (CVE-2025-52881)', async () => {
    await sh(
      ['-v', 'proc:/v'],
      'mkdir -p /v/sys/net/ipv4 /v/self/attr; touch /v/sys/net/ipv4/ip_forward; ln -s /proc/sys /v/link; ln -s /proc /v/whole',
    )
    const whole = await run('-v', 'proc:/proc', '--sysctl', 'net.ipv4.ip_forward=1', 'host', 'true')
    assert.match(whole.error, /"\/proc" cannot be mounted because it is not of type proc/)
    for (const path of ['/proc/sys', '/proc/sys/kernel', '/proc/self/attr', '/v/link/kernel', '/v/whole'])
      for (const option of [
        ['--tmpfs', path],
        ['-v', `proc:${path}`],
      ]) {
        const covered = await run('-v', 'proc:/v', ...option, 'host', 'true')
        assert.notEqual(covered.code, 0, option.join(' '))
        assert.match(covered.error, /lies inside of \/proc|cannot be mounted/, option.join(' '))
      }
    // An image that has a link there.
    await engine.docker(['create', '--name', 'fake', 'host', 'true'])
    const link = spawnSync('sh', [
      '-c',
      `cd ${engine.directory} && mkdir -p fake/real/sys && ln -s real fake/proc && tar -C fake -cf - proc real`,
    ]).stdout
    const imported = await engine.call('POST', '/images/create?fromSrc=-&repo=fakeproc', { raw: link })
    assert.equal(imported.status, 200, imported.text)
    const { error } = await run('fakeproc', '/x')
    assert.match(error, /"\/proc" .*is a symbolic link in the container's root/)
    await remove('fake')
    await engine.call('DELETE', '/volumes/proc')
  })

  test('links of an image lead nowhere else: mounts, copies, users, working directories', async () => {
    const tree = join(engine.directory, 'tree')
    spawnSync('sh', [
      '-c',
      `mkdir -p ${tree}/dir && cd ${tree} && ln -s ${marker} out && ln -s / rootlink && mkdir etc && ln -s ${marker}/secret etc/passwd && ln -s ../../../../..${marker} up`,
    ])
    const packed = spawnSync('tar', ['-C', tree, '-cf', '-', '.']).stdout
    assert.equal((await engine.call('POST', '/images/create?fromSrc=-&repo=links', { raw: packed })).status, 200)
    // There is no program in it: what is mounted and copied before it is looked for is what counts.
    for (const words of [
      ['-v', 'a:/out/a'],
      ['-v', 'a:/up/b'],
      ['--tmpfs', '/out/c'],
      ['--workdir', '/out/d'],
      ['--workdir', '/up/e'],
      ['--device', '/dev/null:/out/n'],
      ['-u', 'root'],
    ])
      assert.notEqual((await run(...words, 'links', '/x')).code, 0)
    untouched()
    const created = await engine.docker(['create', '--name', 'links', 'links', '/x'])
    assert.equal(created.code, 0, created.error)
    for (const path of ['/out/secret', '/up/secret', `/rootlink${marker}/secret`]) {
      const read = await engine.call('GET', `/containers/links/archive?path=${path}`)
      assert.ok(!read.body.includes('of the machine'), path)
    }
    for (const path of ['/out', '/up'])
      await engine.call('PUT', `/containers/links/archive?path=${path}`, { raw: packed })
    untouched()
    await remove('links')
  })
})
