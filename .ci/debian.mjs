/**
 * Packages of a Debian release, whichever one this machine runs, unpacked beside its own programs and never installed.
 * What comes of it is kept in the user's cache directory.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'drydock')

/** Debian 13: the first release whose compose is the plugin, version 2.26. */
export const suite = 'trixie'
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** What the program wrote; its errors only when it fails. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options })
  if (done.error !== undefined) throw done.error
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr.trim().slice(-500)}`)
  return done.stdout
}

/** `fill` gets an empty directory, which takes the place only when it is done: whole, or not there. */
function made(place, fill) {
  const fresh = `${place}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  try {
    fill(fresh)
    renameSync(fresh, place)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** Makes what is not there yet. Never fails: answers why it can't be had, or undefined. */
export function attempt(what, place, fill, log = console.log) {
  if (existsSync(place)) return undefined
  log(`Setting up ${what}, once, in ${place}`)
  try {
    made(place, fill)
  } catch (error) {
    return `${what} could not be set up: ${error.message}`
  }
}

/** apt with lists, a cache and a status of its own: it believes that nothing is installed. */
export class Archive {
  #place
  #options

  /** @param place a directory that is taken away again with `remove` */
  constructor(place) {
    this.#place = place
    for (const name of ['lists/partial', 'cache/archives/partial', 'packages'])
      mkdirSync(join(place, name), { recursive: true })
    writeFileSync(join(place, 'status'), '')
    writeFileSync(
      join(place, 'sources.list'),
      `deb [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`,
    )
    this.#options = [
      `Dir::Etc::SourceList=${join(place, 'sources.list')}`,
      'Dir::Etc::SourceParts=/dev/null',
      `Dir::State::Lists=${join(place, 'lists')}`,
      `Dir::State::Status=${join(place, 'status')}`,
      `Dir::Cache=${join(place, 'cache')}`,
      'APT::Sandbox::User=root',
    ].flatMap((option) => ['-o', option])
    this.#apt('update')
  }

  #apt(...words) {
    return run('apt-get', [...this.#options, '-qq', ...words], { cwd: join(this.#place, 'packages') })
  }

  /** The names of the packages and of all that they depend on. */
  closure(names) {
    const lines = this.#apt('install', '--no-install-recommends', '--yes', '--print-uris', ...names)
    return [...lines.matchAll(/^\S+ ([^_]+)_\S+\.deb /gm)].map(([, name]) => name)
  }

  /** Into `root`, without what their installation would run. */
  unpack(names, root) {
    const have = () => readdirSync(join(this.#place, 'packages'))
    const missing = names.filter((name) => !have().some((file) => file.startsWith(`${name}_`)))
    if (missing.length > 0) this.#apt('download', ...missing)
    for (const file of have().filter((file) => names.includes(file.split('_')[0])))
      run('dpkg-deb', ['-x', join(this.#place, 'packages', file), root])
  }

  remove() {
    rmSync(this.#place, { recursive: true })
  }
}
