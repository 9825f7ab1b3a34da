/**
 * A runtime that begins from the image of a process: that it does, that nothing of that process is left in it, and that
 * whatever does not fit is not used. All other conformance tests run it like this, too.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { imageWords } from '../../engine/kernel/launcher.ts'
import { buildOwnRuntime, makeImage, RuntimeBed, reasonAgainstImages } from './runtime-bed.ts'

const skip = (process.getuid?.() !== 0 && 'needs root') || reasonAgainstImages()

let place: string
let program: string
let image: string
before(async () => {
  if (skip !== false) return
  place = mkdtempSync(join(tmpdir(), 'drydock-own-image-'))
  program = await buildOwnRuntime(place)
  image = join(place, 'runtime-main.image')
})
after(() => {
  if (skip === false) rmSync(place, { recursive: true, force: true })
})

const fromImage = /start: from the image of a process/
const asNode = /start: as a new Node/

/** What the runtime says of its own start, in the course of a command that works. */
function start(): string {
  const { status, stderr } = spawnSync(program, ['--debug', '--root', join(place, 'state'), 'list'], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  return stderr
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 20_000; !condition(); await sleep(5))
    assert.ok(performance.now() < end, `not within 20 s: ${what}`)
}

describe('a runtime from an image', { skip }, () => {
  test('it begins from it, as the sealed program', async () => {
    assert.match(start(), fromImage)
    assert.equal(statSync(image).mode & 0o777, 0o600, 'the memory of a program of root is nobody else’s to read')
    using bed = new RuntimeBed(program)
    bed.configure(['sleep', '100'])
    const command = bed.spawn(['run', '--bundle', bed.bundle, 'a'])
    const ended = once(command, 'exit')
    await until(() => bed.run(['list', '--format', 'json']).stdout.includes('"running"'), 'a container that runs')
    const own = `/proc/${command.pid}`
    assert.throws(() => accessSync(`${own}/exe`, constants.W_OK), { code: 'EROFS' })
    assert.ok(statSync(`${own}/exe`).ino === statSync(process.execPath).ino, 'it is Node, not the launcher')
    assert.doesNotMatch(readFileSync(`${own}/maps`, 'utf8'), new RegExp(program), 'of the launcher nothing is left')
    assert.deepEqual(
      readFileSync(`${own}/cmdline`, 'utf8').split('\0').slice(0, 2),
      [program, '--root'],
      'and it is called as it was called',
    )
    const open = readdirSync(`${own}/fd`).map((fd) => readlinkSync(`${own}/fd/${fd}`))
    assert.deepEqual(
      open.filter((path) => path.startsWith('/') && path !== '/dev/null'),
      [],
      'nor is one of the files open that it was made of',
    )
    bed.run(['kill', 'a', 'KILL'])
    assert.deepEqual(await ended, [137, null])
  })

  test('directory, variables, closed streams and the mask of new files are the caller’s', () => {
    using bed = new RuntimeBed(program)
    bed.configure(['true'])
    const ask = (line: string, env: NodeJS.ProcessEnv = {}): ReturnType<typeof spawnSync> =>
      spawnSync('sh', ['-c', line, 'sh', program], { cwd: bed.bundle, env: { PATH: process.env.PATH, ...env } })
    const state = join(bed.directory, 'elsewhere')
    // Relative to where it is called: the bundle, --root and the file with the number.
    const made = ask('umask 027; "$1" --root ../elsewhere create --pid-file ../number a <&- >&- 2>&-')
    assert.equal(made.status, 0)
    const { pid } = JSON.parse(String(ask(`"$1" --root ${state} state a`).stdout))
    assert.equal(readFileSync(join(bed.directory, 'number'), 'utf8'), String(pid))
    assert.equal(statSync(join(bed.directory, 'number')).mode & 0o777, 0o640)
    for (const fd of [0, 1, 2]) assert.equal(readlinkSync(`/proc/${pid}/fd/${fd}`), '/dev/null')
    assert.equal(ask(`"$1" --root ${state} delete --force a`).status, 0)
    const told = ask(`"$1" --root ${state} run b`, { NOTIFY_SOCKET: 'relative' })
    assert.match(String(told.stderr), /NOTIFY_SOCKET.*neither a path nor an abstract socket/)
    const untold = ask(`"$1" --root ${state} run b`)
    assert.deepEqual([untold.status, String(untold.stderr)], [0, ''])
  })

  test('signals that the caller ignores, or holds back, neither reach the container nor keep it from them', () => {
    using bed = new RuntimeBed(program)
    bed.configure(['grep', '^Sig[BI]', '/proc/self/status'])
    const line = `trap '' TERM HUP; "$@"`
    const words = [...bed.global, 'run', '--bundle', bed.bundle, 'a']
    const { stdout } = spawnSync('sh', ['-c', line, 'sh', program, ...words], { encoding: 'utf8' })
    assert.deepEqual(stdout.match(/[0-9a-f]{16}/g), ['0'.repeat(16), '0'.repeat(16)])
    // As in a new Node, what the caller ignored is not ignored any more: it is the container's.
    bed.configure(['sh', '-c', 'trap "exit 4" TERM; while :; do sleep 0.1; done'])
    const told = `trap '' TERM; "$@" & sleep 0.2; while kill -TERM $!; do sleep 0.1; done 2>/dev/null; wait $!`
    assert.equal(spawnSync('sh', ['-c', told, 'sh', program, ...words], { timeout: 30_000 }).status, 4)
  })

  test('twenty at once, each with its own container', async () => {
    using bed = new RuntimeBed(program)
    bed.configure(['sh', '-c', 'exit 3'])
    const ids = Array.from({ length: 20 }, (_, index) => `many-${index}`)
    const spec = JSON.parse(readFileSync(join(bed.bundle, 'config.json'), 'utf8'))
    const group: string = spec.linux.cgroupsPath
    const running: Promise<unknown[]>[] = []
    for (const id of ids) {
      const bundle = mkdtempSync(join(bed.directory, 'bundle-'))
      const root = { ...spec.root, path: join(bed.bundle, 'rootfs') }
      const linux = { ...spec.linux, cgroupsPath: `${group}-${id}` }
      writeFileSync(join(bundle, 'config.json'), JSON.stringify({ ...spec, root, linux }))
      running.push(
        once(spawn(bed.program, [...bed.global, 'run', '--bundle', bundle, id], { stdio: 'ignore' }), 'exit'),
      )
    }
    const codes = (await Promise.all(running)).map(([code]) => code)
    assert.deepEqual(new Set(codes), new Set([3]))
    assert.equal(bed.run(['list', '-q']).stdout, '')
  })

  test('memory is collected as in any Node: 100 MB pass through', () => {
    using bed = new RuntimeBed(program)
    bed.configure(['sh', '-c', 'head -c 100000000 /dev/zero | tr "\\0" x'])
    const words = [...bed.global, 'run', '--bundle', bed.bundle, 'a']
    const line = '"$@" | cksum; dd bs=1 count=0 2>/dev/null'
    const { stdout } = spawnSync('sh', ['-c', line, 'sh', program, ...words], { encoding: 'utf8' })
    const expected = spawnSync('sh', ['-c', 'head -c 100000000 /dev/zero | tr "\\0" x | cksum'], { encoding: 'utf8' })
    assert.equal(stdout, expected.stdout)
  })

  test('an image that does not fit is not used, and nothing else is different', () => {
    const unfit: readonly (readonly [string, () => void])[] = [
      ['of another boot', () => writeAt(image, 20, 'x')],
      ['not an image', () => writeAt(image, 0, 'x')],
      ['shorter than its head', () => truncateSync(image, 100)],
      ['writable by others', () => chmodSync(image, 0o622)],
      ['of another user', () => chownSync(image, 12_345, 0)],
      ['a program that has changed', () => utimesSync(join(place, 'runtime-main.cjs'), 1, 1)],
      ['not there', () => rmSync(image)],
    ]
    for (const [what, spoil] of unfit) {
      assert.match(start(), fromImage)
      spoil()
      assert.match(start(), asNode, what)
      rmSync(image, { force: true })
      makeImage(place)
    }
    assert.match(start(), fromImage)
  })

  test('who may not is not stopped: an ordinary user, and root without the right', () => {
    chmodSync(place, 0o755)
    const as = (...words: string[]): string =>
      spawnSync('setpriv', [...words, program, '--version'], { encoding: 'utf8' }).stdout
    const expected = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout
    assert.match(expected, /^drydock-runtime version/)
    assert.equal(as('--bounding-set=-checkpoint_restore,-sys_admin', '--inh-caps=-all'), expected)
  })

  test('one that was killed while it made an image leaves nothing that the next does not take away', async () => {
    rmSync(image)
    const rehearsal = `${image}.rehearsal`
    const words = imageWords(join(place, 'runtime.cjs'), image)
    const id = `drydock-image-${statSync(place).ino}`
    const maker = spawn(process.execPath, words, { env: {}, stdio: 'ignore' })
    const ended = once(maker, 'exit')
    await until(() => existsSync(join(rehearsal, 'state', id, 'start.sock')), 'a container that waits')
    maker.kill('SIGKILL')
    await ended
    assert.ok(existsSync(rehearsal))
    assert.match(start(), asNode)
    makeImage(place)
    assert.ok(!existsSync(rehearsal))
    assert.match(start(), fromImage)
    const group = spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-name', id], { encoding: 'utf8' })
    assert.equal(group.stdout, '')
  })

  test('two at once: one makes it, the other says so', async () => {
    rmSync(image)
    const words = imageWords(join(place, 'runtime.cjs'), image)
    const makers = [0, 1].map(() => spawn(process.execPath, words, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] }))
    let said = ''
    for (const { stderr } of makers) stderr.on('data', (chunk) => (said += chunk))
    const codes = await Promise.all(makers.map(async (maker) => (await once(maker, 'close'))[0]))
    assert.deepEqual(codes.toSorted(), [0, 1])
    assert.match(said, /no image is made: it is being made right now/)
    assert.match(start(), fromImage)
  })
})

function writeAt(path: string, position: number, text: string): void {
  const fd = openSync(path, 'r+')
  try {
    writeSync(fd, text, position)
  } finally {
    closeSync(fd)
  }
}
