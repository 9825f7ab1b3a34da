/** Setting up, with real directories and processes; what is set up is a small program that answers at a socket. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import esbuild from 'esbuild'
import { buildRuntime, copyKoffi } from '../../../.ci/build.mjs'
import { isKind } from '../../../engine/base/errors.ts'
import { type SetupContext, setup } from '../../../engine/cli/setup.ts'
import { imageFits, renewRuntimeImage } from '../../../engine/cli/setup-image.ts'
import { assertRootOwned } from '../../../engine/cli/setup-place.ts'
import { reasonAgainstImages } from '../../conformance/runtime-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const withSystemd = existsSync('/run/systemd/system') && 'systemd runs here: the process variant is not used'

/** Answers /_ping and an empty list of containers, and ends on SIGTERM. */
const program = (word: string): string => `
import { createServer } from 'node:http'
import { rmSync } from 'node:fs'
const socket = process.argv[process.argv.indexOf('--socket') + 1]
console.log('${word}')
rmSync(socket, { force: true })
createServer((request, response) => response.end(request.url === '/_ping' ? 'OK' : '[]')).listen(socket)
process.on('SIGTERM', () => process.exit(0))
`

/** Tells what it was called with; the set-up has it compile itself. */
const runtime = "if (process.argv[2] !== '--code-cache') console.log(process.argv.slice(2).join(' '))"

class World implements AsyncDisposable {
  /** Below /var/lib: what lies in /tmp, everybody can replace. */
  readonly directory = mkdtempSync('/var/lib/drydock-test-')
  readonly source = join(this.directory, 'source')
  readonly said: string[] = []
  readonly erased: string[] = []
  readonly context: SetupContext = {
    place: join(this.directory, 'place'),
    command: join(this.directory, 'drydock'),
    source: () => ({ directory: this.source, node: process.execPath, version: '1.2.3' }),
    removeFromMachine: async ({ root }) => {
      this.erased.push(root)
    },
    say: (line) => {
      this.said.push(line)
    },
  }
  readonly places = [
    ...['--root', join(this.directory, 'state')],
    ...['--exec-root', join(this.directory, 'run')],
    ...['--socket', join(this.directory, 'run', 'docker.sock')],
  ]

  constructor() {
    chmodSync(this.directory, 0o755)
    mkdirSync(join(this.source, 'node_modules', 'koffi'), { recursive: true })
    writeFileSync(join(this.source, 'package.json'), '{"type":"module"}')
    writeFileSync(join(this.source, 'main.js'), program('first'))
    writeFileSync(join(this.source, 'runtime.cjs'), runtime)
  }

  run(...words: string[]): Promise<number> {
    return setup(words, this.context)
  }

  install(): Promise<number> {
    return this.run('install', '--user', '0', ...this.places)
  }

  pid(): number {
    return Number(readFileSync(join(this.directory, 'run', 'setup.pid'), 'utf8').split(' ')[0])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With the places: an install that was refused has left no record of them, and those of this machine are not ours.
    if (existsSync(this.context.place)) await this.run('uninstall', '--purge', ...this.places)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** This process is the engine's parent here, so an ended one stays as a zombie until Node has looked. */
const alive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

test('install, status, stop, start, uninstall', { skip: skip || withSystemd }, async () => {
  await using world = new World()
  assert.equal(await world.run('status'), 4)
  assert.equal(await world.install(), 0)
  assert.equal(await world.run('status'), 0)
  assert.match(readlinkSync(join(world.context.place, 'current')), /^1\.2\.3-[0-9a-f]{12}$/)
  assert.equal(statSync(join(world.context.place, 'current', 'main.js')).mode & 0o7777, 0o644)
  assert.equal(statSync(join(world.context.place, 'current')).mode & 0o7777, 0o755)
  const first = world.pid()
  assert.equal(await world.run('stop'), 0)
  assert.equal(alive(first), false)
  assert.equal(await world.run('status'), 3)
  assert.equal(await world.run('start'), 0)
  const second = world.pid()
  assert.equal(await world.run('uninstall'), 0)
  assert.equal(alive(second), false)
  for (const path of [world.context.place, world.context.command, join(world.directory, 'run')])
    assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined, path)
  assert.equal(existsSync(join(world.directory, 'state')), true)
})

test('the runtime is a program of its own beside the engine, and the engine knows it', {
  skip: skip || withSystemd,
}, async () => {
  await using world = new World()
  await world.install()
  const words = ['--root', '/nowhere', 'list']
  const own = spawnSync(`${world.context.command}-runtime`, words, { encoding: 'utf8' })
  assert.equal(own.stdout, `${world.context.command}-runtime 0 --root /nowhere list\n`)
  const named = spawnSync(world.context.command, ['runtime', ...words], { encoding: 'utf8' })
  assert.equal(named.stdout, `${world.context.place}/current/bin/drydock-runtime 0 --root /nowhere list\n`)
  await world.run('uninstall')
  assert.equal(existsSync(`${world.context.command}-runtime`), false)
})

test('the runtime begins from an image, which is made again after a boot', {
  skip: skip || withSystemd || reasonAgainstImages(),
}, async () => {
  await using world = new World()
  await buildRuntime(esbuild, world.source)
  copyKoffi(world.source)
  await world.install()
  const start = (): string | undefined => {
    const words = ['--debug', '--root', join(world.directory, 'containers'), 'list']
    const { stderr } = spawnSync(`${world.context.command}-runtime`, words, { encoding: 'utf8' })
    return /start: (from the image of a process|as a new Node)/.exec(stderr)?.[1]
  }
  const directory = join(world.context.place, readlinkSync(join(world.context.place, 'current')))
  const image = join(directory, 'runtime-main.image')
  assert.ok(imageFits(image))
  assert.equal(start(), 'from the image of a process')
  const made = statSync(image).ino
  await world.install()
  assert.equal(await renewRuntimeImage(directory), undefined)
  assert.equal(statSync(image).ino, made, 'one that fits is left alone')
  const fd = openSync(image, 'r+')
  writeSync(fd, 'another boot of this', 10)
  closeSync(fd)
  assert.equal(imageFits(image), false)
  assert.equal(start(), 'as a new Node')
  assert.equal(await renewRuntimeImage(directory), undefined)
  assert.equal(start(), 'from the image of a process')
  assert.equal(await renewRuntimeImage(join(world.source)), undefined, 'what nobody has installed has none')
  assert.equal(existsSync(join(world.source, 'runtime-main.image')), false)
  rmSync(join(directory, 'runtime-main.cjs'))
  assert.match((await renewRuntimeImage(directory)) ?? '', /runtime-main\.cjs/)
})

test('installing the same again changes nothing, another version replaces it', {
  skip: skip || withSystemd,
}, async () => {
  await using world = new World()
  await world.install()
  const [first, process] = [readlinkSync(join(world.context.place, 'current')), world.pid()]
  await world.install()
  assert.equal(world.pid(), process)
  writeFileSync(join(world.source, 'main.js'), program('second'))
  await world.install()
  const second = readlinkSync(join(world.context.place, 'current'))
  assert.notEqual(second, first)
  assert.equal(alive(process), false)
  assert.deepEqual(readdirSync(world.context.place).sort(), [second, 'current', 'setup.json'].sort())
})

test('an installed engine that installs itself is the same', { skip: skip || withSystemd }, async () => {
  await using world = new World()
  await world.install()
  const [name, process] = [readlinkSync(join(world.context.place, 'current')), world.pid()]
  const directory = join(world.context.place, name)
  const source = () => ({ directory, node: join(directory, 'bin', 'node'), version: '1.2.3' })
  await setup(['install', '--user', '0', ...world.places], { ...world.context, source })
  assert.equal(readlinkSync(join(world.context.place, 'current')), name)
  assert.equal(world.pid(), process)
})

test('what a killed install left is taken away by the next', { skip: skip || withSystemd }, async () => {
  await using world = new World()
  mkdirSync(join(world.context.place, '.new-killed'), { recursive: true })
  await world.install()
  assert.equal(existsSync(join(world.context.place, '.new-killed')), false)
})

test('--purge takes the state, too', { skip: skip || withSystemd }, async () => {
  await using world = new World()
  await world.install()
  await world.run('uninstall', '--purge')
  assert.equal(existsSync(join(world.directory, 'state')), false)
  assert.deepEqual(world.erased, [join(world.directory, 'state')])
})

test('an engine that does not start is told with the end of its log', { skip: skip || withSystemd }, async () => {
  await using world = new World()
  writeFileSync(join(world.source, 'main.js'), "console.error('no such luck'); process.exit(3)")
  await assert.rejects(world.install(), (error) => isKind(error, 'unavailable') && /no such luck/.test(error.message))
})

test('a link in the source is refused, and nothing is installed', { skip }, async () => {
  await using world = new World()
  symlinkSync('/etc/shadow', join(world.source, 'settings.json'))
  await assert.rejects(world.install(), (error) => isKind(error, 'invalid') && /neither a file nor/.test(error.message))
  assert.deepEqual(readdirSync(world.context.place), [])
})

test('a Node that is too old, or none, is refused', { skip }, async () => {
  await using world = new World()
  const node = join(world.directory, 'node')
  writeFileSync(node, '#!/bin/sh\necho v20.1.0\n', { mode: 0o755 })
  const context = { ...world.context, source: () => ({ directory: world.source, node, version: '1.2.3' }) }
  const words = ['install', '--user', '0', ...world.places]
  await assert.rejects(
    setup(words, context),
    (error) => isKind(error, 'invalid') && /given v20.1.0/.test(error.message),
  )
  writeFileSync(node, '#!/bin/sh\nexit 127\n')
  await assert.rejects(setup(words, context), (error) => isKind(error, 'invalid') && /does not run/.test(error.message))
  assert.deepEqual(readdirSync(world.context.place), [])
})

test('a place that users can write to is refused', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-place-'))
  try {
    assert.throws(
      () => assertRootOwned(join(directory, 'x')),
      (error) => isKind(error, 'forbidden'),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('words that mean nothing are refused', { skip }, async () => {
  await using world = new World()
  const refused: [words: string[], message: RegExp][] = [
    [[], /needs a verb/],
    [['instal'], /no verb "instal"/],
    [['stop', '--purge'], /has no option --purge/],
    [['install', '--user', 'ann'], /user's number/],
    [['install', '--root', 'relative'], /plain absolute path/],
    [['install', '--root', '/a/../b'], /plain absolute path/],
    [['install', '--userns-remap', 'nobody-such'], /there is no user "nobody-such"/],
    [['install', '--nonsense'], /Unknown option/],
    [['start'], /not installed/],
    [['erase'], /needs --root and --exec-root/],
  ]
  for (const [words, message] of refused)
    await assert.rejects(world.run(...words), (error) => error instanceof Error && message.test(error.message))
  assert.equal(existsSync(world.context.place), false)
})
