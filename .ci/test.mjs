/**
 * `npm test`: sets up what the tests use (as root; otherwise what is missing makes its tests skip), builds, runs them
 * all one file after the other, tells what was skipped and why, and fails on anything left behind.
 * `npm test -- FILES` runs only those.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { watchForLeaks } from './leaks.mjs'
import { ensurePackages, fail, run, underNode } from './toolchain.mjs'

const isRoot = process.getuid?.() === 0

/** Program → Debian package. The peers and clients that tests compare with or are clients of the engine. */
const programs = {
  chromium: 'chromium',
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  runc: 'runc',
  crun: 'crun',
  ip: 'iproute2',
  nft: 'nftables',
  'dbus-daemon': 'dbus-daemon',
  make: 'make',
  'g++': 'g++',
  'aarch64-linux-gnu-as': 'binutils-aarch64-linux-gnu',
  'qemu-aarch64-static': 'qemu-user-static',
  python3: 'python3',
  sudo: 'sudo',
  xz: 'xz-utils',
  bzip2: 'bzip2',
  newuidmap: 'uidmap',
  ctr: 'containerd',
  podman: 'podman',
  catatonit: 'catatonit',
}

const suites = ['unit', 'kernel', 'conformance', 'engine', 'clients', 'extension']
const searchPath = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
const isHere = (program) => searchPath.some((directory) => existsSync(join(directory, program)))

/** Never fails: what can't be had makes the tests that need it skip. */
function installPrograms() {
  const missing = Object.keys(programs).filter((program) => !isHere(program))
  if (missing.length === 0) return
  if (!isRoot || !isHere('apt-get')) {
    console.log(`Not on this machine, so their tests skip: ${missing.join(', ')}`)
    return
  }
  const packages = [...new Set(missing.map((program) => programs[program]))]
  console.log(`Installing ${packages.join(', ')} …`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], { env, encoding: 'utf8' })
  apt('update')
  const { status, stderr } = apt('install', '-y', '--no-install-recommends', ...packages)
  if (status !== 0) console.log(`apt-get could not install all of them, so their tests skip:\n${stderr.trim()}`)
}

/** The reason why there is no editor to test in, or undefined. */
async function prepareEditor() {
  if (!isHere('chromium')) return 'needs Chromium (package chromium)'
  const { ensureCodeServer } = await import('./code-server.mjs')
  try {
    await ensureCodeServer()
  } catch (error) {
    return `VS Code could not be set up: ${error.message}`
  }
}

/** What the tests of clients skip for, where they do; without a docker of its own the machine gets Debian's on the PATH. */
async function prepareClients() {
  const { dockerConfig, dockerPath, ensureClients } = await import('./clients.mjs')
  const { packages, debian } = ensureClients()
  if (debian === undefined && !isHere('docker')) searchPath.push(dockerPath)
  const { ensureServices } = await import('./services.mjs')
  const services = isRoot ? ensureServices() : 'needs root'
  return {
    ...(packages === undefined ? {} : { DRYDOCK_NO_PACKAGES: packages }),
    ...(services === undefined ? {} : { DRYDOCK_NO_SERVICES: services }),
    ...(debian === undefined ? { DOCKER_CONFIG: dockerConfig } : { DRYDOCK_NO_COMPOSE: debian }),
  }
}

async function runTests(files, env) {
  const directory = mkdtempSync(join(tmpdir(), 'test-report-'))
  const report = join(directory, 'report.json')
  const args = ['--test', '--test-concurrency=1', '--test-timeout=900000']
  args.push('--test-reporter=spec', '--test-reporter-destination=stdout')
  args.push('--test-reporter=./.ci/test-reporter.mjs', `--test-reporter-destination=${report}`)
  try {
    const code = await run(process.execPath, [...args, ...files], { env })
    return { code, ...JSON.parse(readFileSync(report, 'utf8')) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The kernel takes a moment to let go of what a process held. */
async function settledLeaks(leaks) {
  let found = leaks()
  for (let attempt = 0; found.length > 0 && attempt < 20; attempt += 1) {
    await new Promise((settle) => setTimeout(settle, 250))
    found = leaks()
  }
  return found
}

function tell({ skips, totals }, left) {
  const reasons = Object.entries(skips)
  if (reasons.length > 0) console.log(`\nSkipped: ${reasons.reduce((sum, [, count]) => sum + count, 0)}`)
  for (const [reason, count] of reasons.sort((a, b) => b[1] - a[1])) console.log(`  ${count} × ${reason}`)
  if (left.length > 0) console.log(`\nLeft behind by the tests:\n  ${left.join('\n  ')}`)
  const { tests, passed, failed, cancelled, skipped, todo } = totals
  console.log(`\ntests ${tests} pass ${passed} fail ${failed} cancelled ${cancelled} skipped ${skipped} todo ${todo}`)
}

async function main() {
  await ensurePackages()
  await underNode('24.0', fileURLToPath(import.meta.url))
  installPrograms()
  const { build } = await import('./build.mjs')
  await build()
  const chosen = process.argv.slice(2)
  const all = ['test/architecture.test.ts', ...suites.map((suite) => `test/${suite}/**/*.test.ts`)]
  const files = chosen.length > 0 ? chosen : all
  const noEditor = files.some((file) => file.includes('test/extension')) ? await prepareEditor() : undefined
  const clients = files.some((file) => file.includes('test/clients')) ? await prepareClients() : {}
  const word = `DRYDOCK_TEST_RUN=${process.pid}-${Date.now()}`
  const [name, value] = word.split('=')
  const env = { ...process.env, ...clients, PATH: searchPath.join(delimiter), [name]: value }
  if (noEditor !== undefined) env.DRYDOCK_NO_EDITOR = noEditor
  const leaks = watchForLeaks(word)
  const result = await runTests(files, env)
  const left = await settledLeaks(leaks)
  tell(result, left)
  process.exitCode = result.code !== 0 || left.length > 0 ? 1 : 0
}

await main().catch(fail)
