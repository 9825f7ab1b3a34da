/**
 * Clients of the Docker Engine API that nobody here wrote, for the tests: packages of npm, and docker's command line
 * with compose out of Debian's archive, unpacked beside the machine's own programs and never installed. Kept in the
 * user's cache directory, whole or not there: made beside, then renamed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findNode, root } from './toolchain.mjs'

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'drydock')
const wanted = join(root, 'test', 'clients', 'packages')

/** Debian 13: the first release whose compose is the plugin, version 2.26. */
const suite = 'trixie'
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

const lockHash = () =>
  createHash('sha256')
    .update(readFileSync(join(wanted, 'package-lock.json')))
    .digest('hex')

/** Of the npm packages: `node_modules` is in it. */
export const packagesHome = join(cache, `clients-${lockHash().slice(0, 12)}`)
const debianHome = join(cache, `docker-${suite}`)
/** docker's configuration directory with the plugin in it: the variable DOCKER_CONFIG. */
export const dockerConfig = join(debianHome, 'config')
/** A directory with `docker`, for machines without one of their own. */
export const dockerPath = join(debianHome, 'root', 'usr', 'bin')

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (done.error !== undefined) throw done.error
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr.trim().slice(-500)}`)
}

/** `fill` gets an empty directory, which takes the place only when it is done. */
function made(place, fill) {
  if (existsSync(place)) return
  const fresh = `${place}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  try {
    fill(fresh)
    renameSync(fresh, place)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

function installPackages(directory) {
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(wanted, name), join(directory, name))
  const PATH = `${join(findNode('22.15'), '..')}:${process.env.PATH}`
  const quiet = ['--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']
  run('npm', ['ci', ...quiet], { cwd: directory, env: { ...process.env, PATH } })
}

/** apt with lists and a cache of its own: the machine's sources and release stay what they are. */
function unpackDebian(directory) {
  const apt = join(directory, 'apt')
  for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, name), { recursive: true })
  const sources = join(apt, 'sources.list')
  writeFileSync(sources, `deb [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`)
  const options = [
    `Dir::Etc::SourceList=${sources}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(apt, 'lists')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
  ].flatMap((option) => ['-o', option])
  run('apt-get', [...options, '-qq', 'update'], { cwd: apt })
  run('apt-get', [...options, '-qq', 'download', 'docker-cli', 'docker-compose'], { cwd: apt })
  for (const name of readdirSync(apt).filter((file) => file.endsWith('.deb')))
    run('dpkg-deb', ['-x', join(apt, name), join(directory, 'root')])
  rmSync(apt, { recursive: true })
  const plugins = join(directory, 'config', 'cli-plugins')
  mkdirSync(plugins, { recursive: true })
  symlinkSync('../../root/usr/libexec/docker/cli-plugins/docker-compose', join(plugins, 'docker-compose'))
}

/** Why packages of npm or of Debian can't be had; both undefined when all is there. Never fails. */
export function ensureClients(log = console.log) {
  const attempt = (what, place, fill) => {
    if (existsSync(place)) return undefined
    log(`Setting up ${what}, once, in ${place}`)
    try {
      made(place, fill)
    } catch (error) {
      return `${what} could not be set up: ${error.message}`
    }
  }
  return {
    packages: attempt('clients from npm (50 MB)', packagesHome, installPackages),
    debian: attempt(`docker and compose from Debian ${suite} (100 MB)`, debianHome, unpackDebian),
  }
}
