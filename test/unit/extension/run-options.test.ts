import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attachConfiguration, debugCommand, entryOf } from '../../../extension/debug/debug-request.ts'
import { formatAge, formatBytes, parseBytes } from '../../../extension/engine-client/format.ts'
import { referenceProblem, splitReference } from '../../../extension/engine-client/reference.ts'
import { bindOf, folderInside, folderRequest } from '../../../extension/run/folder-request.ts'
import { createRequest, emptyAnswers, problemOf, wordsOf } from '../../../extension/run/parse-options.ts'
import { PullProgress } from '../../../extension/run/pull-progress.ts'
import { rememberChoice, suggestImages } from '../../../extension/run/suggest-image.ts'

const imagesFor = (names: string[], facts: object = {}): string[] =>
  suggestImages({ names: new Set(names), ...facts }).map(({ image }) => image)

test('what a folder is decides the image; host is always there, last', () => {
  assert.deepEqual(imagesFor([]), ['host'])
  assert.deepEqual(imagesFor(['package.json'], { packageJson: '{}' }), ['node:22', 'host'])
  assert.deepEqual(imagesFor(['package.json'], { packageJson: '{"engines":{"node":">=24.1"}}' }), ['node:24', 'host'])
  assert.deepEqual(imagesFor(['package.json'], { packageJson: 'broken' }), ['node:22', 'host'])
  assert.deepEqual(imagesFor(['package.json'], { packageJson: '{}', nodeVersion: 'v20.11.1\n' }), ['node:20', 'host'])
  assert.deepEqual(imagesFor(['requirements.txt']), ['python:3', 'host'])
  assert.deepEqual(imagesFor(['pyproject.toml'], { pythonVersion: '3.12.4\n' }), ['python:3.12', 'host'])
  assert.deepEqual(imagesFor(['go.mod', 'Makefile']), ['golang', 'gcc', 'host'])
  assert.deepEqual(imagesFor(['Cargo.toml']), ['rust', 'host'])
})

test('the last choice comes first, once, and the list does not grow', () => {
  assert.deepEqual(rememberChoice(['a', 'b'], 'b'), ['b', 'a'])
  assert.deepEqual(rememberChoice(['a', 'b', 'c', 'd', 'e'], 'f'), ['f', 'a', 'b', 'c', 'd'])
})

test('a reference is split into name and tag or digest; a port is no tag', () => {
  assert.deepEqual(splitReference('node'), { name: 'node', tag: 'latest' })
  assert.deepEqual(splitReference('localhost:5000/a/b'), { name: 'localhost:5000/a/b', tag: 'latest' })
  assert.deepEqual(splitReference('localhost:5000/a/b:v1'), { name: 'localhost:5000/a/b', tag: 'v1' })
  const digest = `sha256:${'0'.repeat(64)}`
  assert.deepEqual(splitReference(`node:22@${digest}`), { name: 'node', tag: digest })
})

test('an image name is checked before the engine is asked', () => {
  for (const good of ['node', 'node:22', 'a/b', 'ghcr.io/a/b-c:1.0', 'localhost:5000/x', `x@sha256:${'a'.repeat(64)}`])
    assert.equal(referenceProblem(good), undefined, good)
  for (const bad of ['', ' ', 'Node', 'a b', 'node:', 'node:-x', '/x', 'x/', 'x@sha256:1', 'a//b'])
    assert.notEqual(referenceProblem(bad), undefined, bad)
})

test('sizes are read in binary and written in decimal units', () => {
  assert.equal(parseBytes('512m'), 536_870_912)
  assert.equal(parseBytes('1.5GiB'), 1_610_612_736)
  assert.equal(parseBytes('100'), 100)
  for (const bad of ['', 'm', '-1m', '1x', '1 2', '1e3']) assert.equal(parseBytes(bad), null, bad)
  assert.deepEqual([0, 999, 1000, 1536, 999_600, 1e9].map(formatBytes), [
    '0 B',
    '999 B',
    '1 kB',
    '1.54 kB',
    '1 MB',
    '1 GB',
  ])
  assert.deepEqual([0, 1, 90, 7200, 86_400 * 400].map(formatAge), [
    '0 seconds',
    '1 second',
    '1 minute',
    '2 hours',
    '1 year',
  ])
})

test('answers become a request', () => {
  const answers = {
    ...emptyAnswers('nginx'),
    ports: '8080:80, 127.0.0.1:53:53/udp, 443',
    mounts: '/data:/srv:ro, cache:/cache',
    env: 'A=1, B=x=y',
    memory: '512m',
    cpus: '1.5',
    pids: '100',
    command: 'sh -c "echo hello"',
  }
  for (const [field, check] of Object.entries(problemOf)) assert.equal(check(answers[field as 'env']), undefined, field)
  assert.deepEqual(createRequest(answers), {
    Image: 'nginx',
    Tty: true,
    OpenStdin: true,
    Env: ['A=1', 'B=x=y'],
    Cmd: ['sh', '-c', 'echo hello'],
    ExposedPorts: { '80/tcp': {}, '53/udp': {}, '443/tcp': {} },
    HostConfig: {
      Binds: ['/data:/srv:ro', 'cache:/cache'],
      PortBindings: {
        '80/tcp': [{ HostIp: '', HostPort: '8080' }],
        '53/udp': [{ HostIp: '127.0.0.1', HostPort: '53' }],
        '443/tcp': [{ HostIp: '', HostPort: '' }],
      },
      Memory: 536_870_912,
      NanoCpus: 1_500_000_000,
      PidsLimit: 100,
    },
  })
})

test('each setting refuses what the engine would refuse', () => {
  for (const bad of ['0', '80:', '70000', '1:2:3', '80/icmp', 'x']) assert.ok(problemOf.ports(bad), `port ${bad}`)
  for (const bad of ['/data', 'a:b', ':/x', '/a:/b:ro:z']) assert.ok(problemOf.mounts(bad), `mount ${bad}`)
  for (const bad of ['A', '=1', 'A B=1']) assert.ok(problemOf.env(bad), `variable ${bad}`)
  for (const bad of ['5m', 'much', '-1']) assert.ok(problemOf.memory(bad), `memory ${bad}`)
  for (const bad of ['0', '-1', 'x']) assert.ok(problemOf.cpus(bad), `processors ${bad}`)
  for (const bad of ['0', '1.5', 'x']) assert.ok(problemOf.pids(bad), `processes ${bad}`)
  for (const bad of ['a', '-ab', 'a b']) assert.ok(problemOf.name(bad), `name ${bad}`)
})

test('words are split as a shell would, quotes taken off', () => {
  assert.deepEqual(wordsOf(`node -e "a b" 'c "d"' e"f g"`), ['node', '-e', 'a b', 'c "d"', 'ef g'])
  assert.deepEqual(wordsOf('   '), [])
})

test('a folder is mounted under its name, and written to as its owner', () => {
  const request = folderRequest('/home/me/my app', 'node:22', { command: ['sh'], keep: false })
  assert.equal(request.WorkingDir, '/workspaces/my-app')
  assert.deepEqual(request.HostConfig, { Binds: ['/home/me/my app:/workspaces/my-app:rw,idmap'], AutoRemove: true })
  assert.deepEqual(request.Labels, { 'drydock.folder': '/home/me/my app' })
  assert.deepEqual([request.Entrypoint, request.Cmd, request.Tty, request.OpenStdin], [[], ['sh'], true, true])
  assert.equal(folderInside('/'), '/workspaces/folder')
})

test('a folder whose path the text form of a bind cannot hold is refused', () => {
  assert.equal(bindOf('/tmp/a:b'), null)
  assert.throws(() => folderRequest('/tmp/a:b', 'host', { keep: true }), /has a colon/)
})

test('a pull becomes one number that never goes back and ends at a hundred', () => {
  const progress = new PullProgress()
  const id = (layer: number): string => String(layer).repeat(12)
  const lines = [
    { status: 'Pulling from library/node', id: '22' },
    { status: 'Pulling fs layer', id: id(1) },
    { status: 'Pulling fs layer', id: id(2) },
    { status: 'Downloading', id: id(1), progressDetail: { current: 50, total: 100 } },
    { status: 'Downloading', id: id(2), progressDetail: { current: 10, total: 300 } },
    { status: 'Download complete', id: id(1), progressDetail: {} },
    { status: 'Pull complete', id: id(1), progressDetail: {} },
    { status: 'Download complete', id: id(2) },
    { status: 'Pull complete', id: id(2) },
  ]
  const reports = lines.map((line) => progress.push(line))
  assert.ok(reports.every(({ increment }) => increment >= 0))
  assert.equal(Math.round(reports.reduce((sum, { increment }) => sum + increment, 0)), 100)
  assert.equal(reports[3]?.message, '0 of 2 layers, 50 B of 100 B')
  assert.equal(reports.at(-1)?.message, '2 of 2 layers, 400 B of 400 B')
})

test('what to debug: the open program of the folder, else what package.json starts', () => {
  assert.equal(entryOf('/w', '/w/src/a.js', undefined), 'src/a.js')
  assert.equal(entryOf('/w', '/w/README.md', '{"main":"lib.js"}'), 'lib.js')
  assert.equal(entryOf('/w', '/other/a.js', '{"main":"lib.js","scripts":{"start":"node server.mjs"}}'), 'server.mjs')
  assert.equal(entryOf('/w', undefined, '{"scripts":{"start":"node --watch a.js"}}'), undefined)
  assert.equal(entryOf('/w', undefined, 'broken'), undefined)
})

test('the debugger is sent to this side of the tunnel, and told where the folder is inside', () => {
  assert.deepEqual(debugCommand('a.js'), ['node', '--inspect-brk=127.0.0.1:9229', 'a.js'])
  const { websocketAddress, localRoot, remoteRoot } = attachConfiguration(
    '/home/me/app',
    'app',
    { port: 4711, path: '/x' },
    'abc',
  )
  assert.deepEqual(
    [websocketAddress, localRoot, remoteRoot],
    ['ws://127.0.0.1:4711/x', '/home/me/app', '/workspaces/app'],
  )
})
