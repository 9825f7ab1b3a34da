/**
 * Clients of the Docker Engine API that nobody here wrote, for the tests: packages of npm, and docker's command line
 * with compose out of Debian's archive.
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Archive, attempt, cache, run, suite } from './debian.mjs'
import { findNode, root } from './toolchain.mjs'

const wanted = join(root, 'test', 'clients', 'packages')

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

function installPackages(directory) {
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(wanted, name), join(directory, name))
  const PATH = `${join(findNode('22.15'), '..')}:${process.env.PATH}`
  const quiet = ['--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']
  run('npm', ['ci', ...quiet], { cwd: directory, env: { ...process.env, PATH } })
}

/** Without what they depend on: both are linked statically, or with a C library that any machine has. */
function unpackDocker(directory) {
  const archive = new Archive(join(directory, 'apt'))
  archive.unpack(['docker-cli', 'docker-compose'], join(directory, 'root'))
  archive.remove()
  const plugins = join(directory, 'config', 'cli-plugins')
  mkdirSync(plugins, { recursive: true })
  symlinkSync('../../root/usr/libexec/docker/cli-plugins/docker-compose', join(plugins, 'docker-compose'))
}

/** Why packages of npm or of Debian can't be had; both undefined when all is there. Never fails. */
export function ensureClients(log = console.log) {
  return {
    packages: attempt('clients from npm (50 MB)', packagesHome, installPackages, log),
    debian: attempt(`docker and compose from Debian ${suite} (100 MB)`, debianHome, unpackDocker, log),
  }
}
