/**
 * Packages of a Debian release, whichever one this machine runs: apt with a configuration of its own below the cache,
 * and unpacked beside it. Nothing of the machine changes, and no root is needed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cache } from './cache.ts'

export const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** The programs of the machine that all of this leans on, with their packages. */
const needed = { 'apt-get': 'apt', 'dpkg-deb': 'dpkg', perl: 'perl', tar: 'tar', setarch: 'util-linux' }

/** Throws with what to install. */
export function assertDebian(): void {
  const missing = Object.entries(needed).filter(([program]) => spawnSync('which', [program]).status !== 0)
  const packages = missing.map(([, name]) => name)
  if (!existsSync(keyring)) packages.push('debian-archive-keyring')
  if (process.arch !== 'x64') throw new Error(`the virtual machines are x86_64, this machine is ${process.arch}`)
  if (packages.length > 0) throw new Error(`needs Debian or Ubuntu with the packages ${packages.join(', ')}`)
}

/** Where this machine's apt fetches Debian from, or Debian's own address. */
export function mirror(): string {
  const { stdout } = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI) $(ORIGIN)'], { encoding: 'utf8' })
  const uris = (stdout ?? '').split('\n').filter((line) => line.endsWith(' Debian') && !line.includes('security'))
  return uris[0]?.split(' ')[0] ?? 'http://deb.debian.org/debian/'
}

/** Runs a program; its output is shown only when it fails. */
export function quietly(program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  if (error !== undefined) throw error
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')}: exit code ${status}\n${stdout.slice(-2000)}${stderr.slice(-4000)}`)
}

/** An apt of `suite` that believes nothing is installed: what it fetches is complete. Answers the path of its configuration. */
function configure(suite: string): string {
  const place = join(cache, 'apt', suite)
  const configuration = join(place, 'apt.conf')
  for (const directory of ['lists/partial', 'archives/partial', 'etc/apt.conf.d', 'etc/preferences.d'])
    mkdirSync(join(place, directory), { recursive: true })
  writeFileSync(join(place, 'status'), '')
  writeFileSync(join(place, 'etc/sources.list'), `deb [signed-by=${keyring}] ${mirror()} ${suite} main\n`)
  const settings = {
    'Dir::Etc': join(place, 'etc'),
    'Dir::State': place,
    'Dir::State::status': join(place, 'status'),
    'Dir::State::lists': join(place, 'lists'),
    'Dir::Cache': place,
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': '',
    // A mirror may be behind, and a clock ahead. What is fetched is signed all the same.
    'Acquire::Check-Valid-Until': 'false',
    // The locks are of the machine's dpkg, which is not touched.
    'Debug::NoLocking': 'true',
  }
  writeFileSync(
    configuration,
    Object.entries(settings)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(''),
  )
  return configuration
}

/** Fetches packages with all that they depend on, and unpacks them into `directory`; their scripts do not run. */
export function unpackPackages(suite: string, packages: readonly string[], directory: string): void {
  const configuration = configure(suite)
  const env = { ...process.env, APT_CONFIG: configuration }
  const archives = join(cache, 'apt', suite, 'archives')
  quietly('apt-get', ['-qq', 'update'], { env })
  quietly('apt-get', ['-qq', '-y', '--download-only', 'install', ...packages], { env })
  for (const name of readdirSync(archives).filter((one) => one.endsWith('.deb')))
    execFileSync('dpkg-deb', ['--extract', join(archives, name), directory])
  rmSync(archives, { recursive: true })
}

/** Where Debian keeps its libraries, below a root. */
export const libraries = (root: string): string => join(root, 'usr/lib/x86_64-linux-gnu')
