/**
 * The root-owned home of an installed engine: PLACE/VERSION-HASH with the bundle, koffi and a Node, whole or not there,
 * and the link `current` to the one in use. Root runs nothing else: what a user can write is copied once, with consent.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { EngineError, messageOf } from '../base/errors.ts'
import { forkingNode, launcherProgram } from '../kernel/launcher.ts'

/** What the runtime begins from, if it is there and fits (setup-image.ts). */
export const imageName = 'runtime-main.image'

/** What is copied: the folder of main.js with what lies beside it, and a Node program. */
export type Source = { directory: string; node: string; version: string }

/** Node 22.15 is the first with node:sqlite as it is used here, and zstd in node:zlib. */
const oldestNode = [22, 15] as const

/**
 * Throws unless every directory on the way to `path` that exists is root's, and not writable by anybody else: then no
 * user can put a link in the way. A sticky directory (/tmp) is not good enough.
 */
export function assertRootOwned(path: string): void {
  const parent = dirname(path)
  if (parent !== path) assertRootOwned(parent)
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (found.isSymbolicLink() && found.uid === 0) assertRootOwned(realpathSync(path))
  else if (
    !found.isDirectory() ||
    found.uid !== 0 ||
    (found.mode & 0o002) !== 0 ||
    ((found.mode & 0o020) !== 0 && found.gid !== 0)
  )
    throw new EngineError('forbidden', `${path} is not a directory that only root can write: choose another place`)
}

/** The file's bytes; a link, or anything else than a regular file, is refused. */
function readRegular(path: string): Buffer {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!fstatSync(descriptor).isFile()) throw new EngineError('invalid', `${path} is not a regular file`)
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function* regularFiles(directory: string, prefix = ''): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = join(prefix, entry.name)
    if (entry.isDirectory()) yield* regularFiles(join(directory, entry.name), name)
    else if (entry.isFile()) yield name
    else throw new EngineError('invalid', `${join(directory, entry.name)} is neither a file nor a directory`)
  }
}

/**
 * Copies everything below `source.directory`, and Node as bin/node, into `target`; answers the hash of it all. What is
 * in its bin does not count: an installed engine has its launcher there, and installed from itself it is the same.
 */
function copyEverything(source: Source, target: string): string {
  const hash = createHash('sha256')
  const put = (from: string, name: string, mode: number): void => {
    const bytes = readRegular(from)
    hash.update(`${name} ${bytes.length}\n`).update(bytes)
    mkdirSync(dirname(join(target, name)), { recursive: true, mode: 0o755 })
    writeFileSync(join(target, name), bytes, { mode, flag: 'wx' })
  }
  const wanted = [...regularFiles(source.directory)].filter(
    (name) => !name.startsWith('bin/') && !name.startsWith(imageName) && !/\.(map|cache)$/.test(name),
  )
  for (const name of wanted) put(join(source.directory, name), name, 0o644)
  put(source.node, 'bin/node', 0o755)
  return hash.digest('hex').slice(0, 12)
}

/** The runtime's code, compiled by the Node that will run it. */
function compileRuntime(directory: string): void {
  const [, ...flags] = forkingNode
  const words = [...flags, join(directory, 'runtime.cjs'), '--code-cache']
  execFileSync(join(directory, 'bin', 'node'), words, { env: {}, cwd: '/', timeout: 20_000 })
}

/** Runs the copied Node: one that leans on libraries beside its original place fails here, and not at the next boot. */
function assertNodeRuns(node: string): void {
  let version: string
  try {
    version = execFileSync(node, ['--version'], { encoding: 'utf8', env: {}, cwd: '/', timeout: 20_000 }).trim()
  } catch (error) {
    throw new EngineError('invalid', `the Node program does not run as a copy of its own: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const [major = 0, minor = 0] = version.replace('v', '').split('.').map(Number)
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]))
    throw new EngineError('invalid', `the engine needs Node ${oldestNode.join('.')} or newer, and was given ${version}`)
}

/**
 * Puts `source` into `place`, and points `current` at it. Returns the directory's name; nothing happens to one that is
 * there already. Killed at any moment it leaves the old state, or the new one, and at most a `.new-` directory that the
 * next call removes.
 */
export function install(place: string, source: Source): string {
  assertRootOwned(place)
  mkdirSync(place, { recursive: true, mode: 0o755 })
  for (const name of readdirSync(place)) if (name.startsWith('.new-')) rmSync(join(place, name), { recursive: true })
  const fresh = mkdtempSync(join(place, '.new-'))
  try {
    const name = `${source.version}-${copyEverything(source, fresh)}`
    assertNodeRuns(join(fresh, 'bin', 'node'))
    compileRuntime(fresh)
    writeFileSync(join(fresh, 'bin', 'drydock'), launcher(place), { mode: 0o755 })
    writeFileSync(join(fresh, 'bin', 'drydock-runtime'), runtimeLauncher(place), { mode: 0o755 })
    chmodSync(fresh, 0o755)
    if (!existsSync(join(place, name))) renameSync(fresh, join(place, name))
    pointTo(place, name)
    return name
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** `drydock runtime` is a program of its own: its descriptors and signals must be those that it was called with. */
const launcher = (place: string): string => `#!/bin/sh
if [ "$1" = runtime ]; then shift; exec ${place}/current/bin/drydock-runtime "$@"; fi
exec ${place}/current/bin/node ${place}/current/main.js "$@"
`

function runtimeLauncher(place: string): Buffer {
  const current = join(place, 'current')
  const first = [...forkingNode, join(current, 'runtime.cjs')]
  const program = launcherProgram(process.arch, {
    program: join(current, 'bin', 'node'),
    first,
    image: join(current, imageName),
  })
  if (program === undefined)
    throw new EngineError('unavailable', `the runtime has no launcher for ${process.arch} processors`)
  return program
}

function pointTo(place: string, name: string): void {
  const link = join(place, `.new-current-${process.pid}`)
  symlinkSync(name, link)
  renameSync(link, join(place, 'current'))
}

/** The name of the version in use, or undefined where none is installed. */
export function installed(place: string): string | undefined {
  try {
    return basename(readlinkSync(join(place, 'current')))
  } catch {
    return undefined
  }
}

/** Removes the versions that are not in use any more. Programs that run from one keep their open files. */
export function removeOldVersions(place: string): void {
  const current = installed(place)
  for (const entry of readdirSync(place, { withFileTypes: true }))
    if (entry.isDirectory() && entry.name !== current) rmSync(join(place, entry.name), { recursive: true, force: true })
}

const targetOf = (place: string, command: string): string => join(place, 'current', 'bin', basename(command))

/** A program of ours for every user's PATH, unless something else has the name. Answers whether it is there. */
export function linkCommand(place: string, command: string): boolean {
  const target = targetOf(place, command)
  const found = lstatSync(command, { throwIfNoEntry: false })
  if (found !== undefined) return found.isSymbolicLink() && readlinkSync(command) === target
  if (lstatSync(dirname(command), { throwIfNoEntry: false }) === undefined) return false
  symlinkSync(target, command)
  return true
}

export function unlinkCommand(place: string, command: string): void {
  const found = lstatSync(command, { throwIfNoEntry: false })
  if (found?.isSymbolicLink() && readlinkSync(command) === targetOf(place, command)) rmSync(command)
}

/** A file that is whole or as it was before. */
export function replaceFile(path: string, text: string, mode = 0o644): void {
  const fresh = `${path}.new-${process.pid}`
  writeFileSync(fresh, text, { mode, flag: 'wx' })
  renameSync(fresh, path)
}

/** For setup: where this very program and its Node lie. A Node beside the bundle (as in the package) comes first. */
export function ownSource(version: string): Source {
  const main = realpathSync(process.argv[1] ?? '')
  const directory = dirname(main)
  const beside = join(directory, 'bin', 'node')
  if (!existsSync(join(directory, 'node_modules', 'koffi')))
    throw new EngineError('invalid', `${directory} is no built engine: run npm run build, and its dist/engine/main.js`)
  return { directory, node: existsSync(beside) ? beside : realpathSync(process.execPath), version }
}
