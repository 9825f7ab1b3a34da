/**
 * `npm start`: installs what is missing, builds, starts the engine in the foreground, runs a first container with the
 * current folder in it, shows what each layer did, and opens VS Code.
 *   --no-editor  leaves the editor out
 *   --once       ends after the first container and leaves nothing behind: an engine of its own in a temporary place
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ping } from './engine-api.mjs'
import { runFirstContainer, traceLines } from './first-container.mjs'
import { ensurePackages, fail, root, run, underNode } from './toolchain.mjs'

const isRoot = process.getuid?.() === 0
const userFolder = process.env.INIT_CWD ?? process.cwd()

/** Where the engine keeps what it has; `own` directories are taken away at the end. */
function places(once) {
  if (!once) return { state: '/var/lib/drydock', exec: '/run/drydock', socket: '/run/drydock/docker.sock' }
  const own = mkdtempSync(join(tmpdir(), 'drydock-once-'))
  return { own, state: join(own, 'state'), exec: join(own, 'run'), socket: join(own, 'run', 'docker.sock') }
}

/** As root directly; else through sudo, whose question is asked once, before anything else writes on the screen. */
async function asRoot(command) {
  if (isRoot) return command
  console.log('The engine needs root. sudo asks for your password:')
  if ((await run('sudo', ['-v'])) !== 0) throw new Error('without root there is no engine: sudo -v failed')
  return ['sudo', '--non-interactive', ...command]
}

/** Ends the engine; containers go on. Ctrl-C has reached it already, on the same terminal; other signals have not. */
async function stopEngine(engine) {
  if (engine.exitCode !== null || engine.signalCode !== null) return
  const ended = new Promise((settle) => engine.once('exit', settle))
  if (isRoot) engine.kill('SIGTERM')
  else if (
    spawnSync('sudo', ['--non-interactive', 'kill', '-TERM', String(engine.pid)], { stdio: 'inherit' }).status !== 0
  )
    console.error(`The engine (process ${engine.pid}) could not be told to stop; it ends with Ctrl-C.`)
  await ended
}

/** As an installed engine is run (engine/cli/setup-service.ts): a small heap rather than rare collections. */
const lean = ['--max-semi-space-size=1', '--optimize-for-size']

async function startEngine({ state, exec, socket }) {
  const main = join(root, 'dist', 'engine', 'main.js')
  const user = String(process.getuid?.() ?? 0)
  const args = ['engine', '--root', state, '--exec-root', exec, '--socket', socket, '--user', user]
  const [command, ...rest] = await asRoot([process.execPath, ...lean, main, ...args])
  const engine = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit'] })
  const failure = new Promise((_, reject) => {
    engine.once('error', reject)
    engine.once('exit', (code, signal) => reject(new Error(`the engine ended before it answered (${code ?? signal})`)))
  })
  failure.catch(() => {})
  const answered = async () => {
    while ((await ping(socket)) !== 'running') await new Promise((settle) => setTimeout(settle, 20))
  }
  await Promise.race([answered(), failure])
  return engine
}

async function showFirstContainer(socket) {
  console.log(`\nA first container, with ${userFolder} in it:\n`)
  const { exitCode, spans } = await runFirstContainer(socket, userFolder)
  if (exitCode !== 0) throw new Error(`the first container ended with exit code ${exitCode}`)
  console.log(`\nWhat each layer did:\n\n${traceLines(spans).join('\n')}\n`)
}

/** The desktop's editor where it is on the PATH, else one in the browser. Answers what stops it, if it is ours to stop. */
async function openEditor(socket) {
  const extensionArgs = [`--extensionDevelopmentPath=${root}`, userFolder]
  const code = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'code'))
  if (code.some((path) => existsSync(path))) {
    console.log('Opening VS Code with the extension')
    const args = isRoot ? ['--no-sandbox', '--user-data-dir', join(homedir(), '.config', 'drydock-code')] : []
    spawn('code', [...args, ...extensionArgs], {
      stdio: 'ignore',
      detached: true,
      env: { ...process.env, DOCKER_HOST: `unix://${socket}` },
    }).unref()
    return async () => {}
  }
  const { ensureCodeServer, startServer, stopServer } = await import('./code-server.mjs')
  await ensureCodeServer()
  const home = join(process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'drydock', 'code')
  const extensionsDirectory = join(home, 'extensions')
  mkdirSync(extensionsDirectory, { recursive: true })
  const link = join(extensionsDirectory, 'drydock.drydock-0.1.0')
  try {
    unlinkSync(link)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  symlinkSync(root, link)
  const dataDirectory = join(home, 'data')
  giveSettings(dataDirectory)
  const secret = randomBytes(16).toString('hex')
  // Whoever started this has run the folder's code already: it is not asked whether it is to be trusted.
  const args = ['--disable-workspace-trust']
  const server = await startServer({ dataDirectory, extensionsDirectory, secret, args })
  const query = new URLSearchParams({ tkn: secret, folder: userFolder })
  console.log(
    `VS Code, for your browser; Drydock is the ship in the bar on the left:\n\n  ${server.address}/?${query}\n`,
  )
  return () => stopServer(server.child)
}

/** Of the editor in the browser: the folder and the extension, and nothing in front of them. What a user changed stays. */
function giveSettings(dataDirectory) {
  const file = join(dataDirectory, 'data', 'Machine', 'settings.json')
  if (existsSync(file)) return
  const settings = {
    'workbench.startupEditor': 'none',
    'workbench.secondarySideBar.defaultVisibility': 'hidden',
    'chat.disableAIFeatures': true,
    'telemetry.telemetryLevel': 'off',
    'window.autoDetectColorScheme': true,
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(settings, null, 2)}\n`)
}

const interrupted = () =>
  new Promise((settle) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, settle)
  })

/** An engine to work with: the one that runs at the usual place, or one of our own, stopped at the end. */
async function engineFor(once, cleanup) {
  const where = places(once)
  if (where.own !== undefined) cleanup.defer(() => erase(where))
  const found = await ping(where.socket)
  if (found === 'denied') throw new Error(`an engine runs at ${where.socket}, and it is not yours to use`)
  if (found === 'running') {
    console.log(`Using the engine that runs at ${where.socket}`)
    return where
  }
  const start = performance.now()
  const engine = await startEngine(where)
  cleanup.defer(() => stopEngine(engine))
  console.log(`The engine runs (${Math.round(performance.now() - start)} ms)`)
  return where
}

/** Takes away all that an engine of our own has left: networks, control groups, its directories. */
async function erase({ own, state, exec }) {
  const main = join(root, 'dist', 'engine', 'main.js')
  const command = [process.execPath, main, 'setup', 'erase', '--root', state, '--exec-root', exec]
  const [program, ...args] = isRoot ? command : ['sudo', '--non-interactive', ...command]
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`could not clean up ${own}: ${stderr.trim()}`)
  rmSync(own, { recursive: true, force: true })
}

async function main() {
  const options = { once: { type: 'boolean', default: false }, 'no-editor': { type: 'boolean', default: false } }
  const { values } = parseArgs({ options })
  if (process.platform !== 'linux') throw new Error('containers need Linux: use WSL, or a Linux machine over SSH')
  await ensurePackages()
  await underNode('24.0', fileURLToPath(import.meta.url))
  const { build } = await import('./build.mjs')
  if (await build()) console.log('Built')
  const stop = interrupted()
  // No `using`: a Node that does not know it has to get as far as underNode.
  const cleanup = new AsyncDisposableStack()
  try {
    await firstContainerAndEditor(values, stop, cleanup)
  } finally {
    await cleanup.disposeAsync()
  }
}

async function firstContainerAndEditor({ once, 'no-editor': noEditor }, stop, cleanup) {
  const { socket } = await engineFor(once, cleanup)
  await showFirstContainer(socket)
  if (once) return
  console.log(
    `The engine's socket is ${socket}. For docker and other clients:\n\n  export DOCKER_HOST=unix://${socket}\n`,
  )
  if (!noEditor) cleanup.defer(await openEditor(socket))
  console.log('Ctrl-C stops the engine; containers go on.')
  await stop
  console.log('')
}

await main().catch(fail)
