/**
 * VS Code in the browser, from the npm package code-server, for machines without a desktop VS Code and for the tests.
 * It is kept per version in the user's cache directory and is whole or not there: made beside, then renamed.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { findNode, root } from './toolchain.mjs'

const version = '4.139.1'
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'drydock')
const home = join(cache, `code-server-${version}`)

/** Within a tree of it. The server's own entry, without code-server's login and proxy around it: it starts in a third of a second. */
const entry = join('node_modules', 'code-server', 'lib', 'vscode', 'out', 'server-main.js')
export const serverTree = home
export const serverMain = join(home, entry)

function quietly(command, args, cwd, log) {
  return new Promise((settle, fail) => {
    const node = dirname(findNode('22.15'))
    const env = { ...process.env, PATH: `${node}:${process.env.PATH}` }
    const headers = join(root, 'node_modules', `node-linux-${process.arch}`)
    if (existsSync(join(headers, 'include'))) env.npm_config_nodedir = headers
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let tail = ''
    const keep = (chunk) => {
      tail = (tail + chunk).slice(-2000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', fail)
    child.once('close', (code) => {
      if (code === 0) return settle()
      log(tail)
      fail(new Error(`${command} ${args.join(' ')} in ${cwd} failed with exit code ${code}`))
    })
  })
}

const install = ['install', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']

/**
 * Makes sure of the server; `log` is told what is under way (about a minute and a half, 600 MB on the disk). Its
 * scripts are not run, except for the two packages with a native part that the server can't do without.
 */
export async function ensureCodeServer(log = console.log) {
  if (existsSync(serverMain)) return serverMain
  const fresh = join(cache, `code-server-${version}.${process.pid}`)
  mkdirSync(fresh, { recursive: true })
  try {
    const vscode = join(fresh, 'node_modules', 'code-server', 'lib', 'vscode')
    log(`Setting up VS Code in the browser, once, in ${home} (600 MB)`)
    log('  1/4 code-server …')
    await quietly('npm', [...install, '--no-save', '--prefix', fresh, `code-server@${version}`], fresh, log)
    log("  2/4 the editor's packages …")
    await quietly('npm', [...install, '--omit=dev'], vscode, log)
    log("  3/4 the built-in extensions' packages …")
    await quietly('npm', [...install, '--omit=dev'], join(vscode, 'extensions'), log)
    log('  4/4 its native parts …')
    await quietly('npm', ['rebuild', '--foreground-scripts', '@vscode/spdlog', '@vscode/native-watchdog'], vscode, log)
    rmSync(home, { recursive: true, force: true })
    renameSync(fresh, home)
    return serverMain
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/**
 * Starts the server on a free port of 127.0.0.1 in a process group of its own. Answers the child and its address once
 * it listens; rejects with its output when it ends before. With `user` (uid, gid, and where that user can read a Node
 * and the server's tree) it runs as somebody else than this process.
 */
export function startServer({ dataDirectory, extensionsDirectory, env = {}, args = [], port = 0, secret, user }) {
  const access = secret === undefined ? ['--without-connection-token'] : ['--connection-token', secret]
  const child = spawn(
    user === undefined ? findNode('22.15') : user.node,
    [
      user === undefined ? serverMain : join(user.tree, entry),
      ...['--host', '127.0.0.1', '--port', String(port), ...access, '--accept-server-license-terms'],
      ...['--server-data-dir', dataDirectory, '--extensions-dir', extensionsDirectory],
      ...['--telemetry-level', 'off', ...args],
    ],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
      env: { ...process.env, EXTENSIONS_GALLERY: '{"serviceUrl":""}', VSCODE_IPC_HOOK_CLI: '', ...env },
    },
  )
  return new Promise((settle, fail) => {
    let output = ''
    const read = (chunk) => {
      output = (output + chunk).slice(-20_000)
      const address = /Extension host agent listening on (\d+)/.exec(output)
      if (address) settle({ child, address: `http://127.0.0.1:${address[1]}`, output: () => output })
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', fail)
    child.once('exit', (code) => fail(new Error(`the VS Code server ended (${code}) before it listened:\n${output}`)))
  })
}

/** Ends the server and what it started (extension hosts, terminals). */
export async function stopServer(child) {
  const ended = new Promise((settle) => {
    if (child.exitCode !== null || child.signalCode !== null) settle()
    else child.once('exit', settle)
  })
  const signalGroup = (signal) => {
    try {
      process.kill(-child.pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  signalGroup('SIGTERM')
  const timer = setTimeout(() => signalGroup('SIGKILL'), 5000)
  await ended
  clearTimeout(timer)
  signalGroup('SIGKILL')
}
