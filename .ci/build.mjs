/**
 * Builds what is shipped: dist/engine (Node bundles, with koffi beside them because its binary can't be bundled),
 * dist/extension, dist/webview. Does nothing when no source has changed since the last time.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root, underNode } from './toolchain.mjs'

const output = join(root, 'dist')
const stamp = join(output, '.stamp')
const engineOutput = join(output, 'engine')

/** Programs of the engine: name in dist/engine → source. main is the daemon and the command line. */
const engineEntries = {
  main: 'engine/main.ts',
  spawner: 'engine/shim/spawner.ts',
  'unpack-thread': 'engine/images/unpack-thread.ts',
}

function* filesBelow(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else yield path
  }
}

/** Changes when a source, a package or this file does: names, sizes and times, not contents, to stay quick. */
function fingerprint() {
  const hash = createHash('sha256')
  const inputs = ['engine', 'extension', 'webview'].flatMap((name) => [...filesBelow(join(root, name))])
  for (const path of [
    ...inputs,
    join(root, 'package.json'),
    join(root, 'package-lock.json'),
    fileURLToPath(import.meta.url),
  ]) {
    const { size, mtimeMs } = statSync(path)
    hash.update(`${relative(root, path)} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

const existing = (entries) =>
  Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(join(root, source))))

/** CommonJS packages inside of an ES module bundle still call require for Node's own modules. */
const banner = {
  js: "import { createRequire as drydockRequire } from 'node:module'; const require = drydockRequire(import.meta.url);",
}

const shared = { absWorkingDir: root, bundle: true, sourcemap: 'linked', logLevel: 'warning', legalComments: 'none' }

// A smaller text is less memory for as long as the daemon runs; names stay, for stack traces.
const small = { minifyWhitespace: true, minifySyntax: true }

/** V8 keeps a text with a single character beyond Latin-1 in two bytes each: all that is left of them is escaped. */
function assertPlainText(path) {
  const [found] = /[^\0-\x7f].{0,40}/.exec(readFileSync(path, 'utf8')) ?? []
  if (found !== undefined) throw new Error(`${path}: write \\uXXXX in the source for the first character of ${found}`)
}

/** What is imported by call becomes a file of its own, beside main, and is read when it is called for. */
async function buildEngine(esbuild) {
  const entryPoints = existing(engineEntries)
  if (Object.keys(entryPoints).length === 0) return
  const options = { platform: 'node', target: 'node22', format: 'esm', external: ['koffi'], banner }
  const chunks = { splitting: true, chunkNames: 'part-[name]-[hash]', metafile: true }
  const results = await Promise.all(
    Object.entries(entryPoints).map(([name, source]) =>
      esbuild.build({
        ...shared,
        ...small,
        ...options,
        ...chunks,
        entryPoints: { [name]: source },
        outdir: engineOutput,
      }),
    ),
  )
  const written = new Set(
    results.flatMap(({ metafile }) => Object.keys(metafile.outputs).map((path) => join(root, path))),
  )
  for (const path of written) if (path.endsWith('.js')) assertPlainText(path)
  for (const name of readdirSync(engineOutput))
    if (name.startsWith('part-') && !written.has(join(engineOutput, name))) rmSync(join(engineOutput, name))
}

/** koffi's own JavaScript takes 11 ms to find and load what one call loads: more than a whole container. */
const koffiAddon = {
  name: 'koffi-addon',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^koffi$/ }, () => ({ path: 'koffi', namespace: 'addon' }))
    onLoad({ filter: /.*/, namespace: 'addon' }, () => ({
      contents: `const addon = { exports: {} }
        const directory = \`\${__dirname}/node_modules/@koromix/koffi-linux-\${process.arch}/linux_\${process.arch}\`
        process.dlopen(addon, \`\${directory}/koffi.node\`)
        module.exports = addon.exports`,
      loader: 'js',
    }))
  },
}

/**
 * The runtime's command line, a program of its own, which starts once for every verb: one file with nothing but what it
 * needs, the small one that starts it, and the code that V8 makes of it under the Node that runs this.
 */
export async function buildRuntime(esbuild, outdir = engineOutput) {
  const entryPoints = {
    runtime: 'engine/runtime/command/cached-start.ts',
    'runtime-main': 'engine/runtime/command/main.ts',
  }
  const options = { platform: 'node', target: 'node22', format: 'cjs', outExtension: { '.js': '.cjs' } }
  await esbuild.build({ ...shared, ...small, ...options, entryPoints, outdir, plugins: [koffiAddon] })
  const flags = JSON.parse(readFileSync(join(root, 'engine/kernel/forking-node.json'), 'utf8'))
  execFileSync(process.execPath, [...flags, join(outdir, 'runtime.cjs'), '--code-cache'])
}

function buildExtension(esbuild) {
  const entryPoints = existing({ main: 'extension/main.ts' })
  if (Object.keys(entryPoints).length === 0) return
  const options = { platform: 'node', target: 'node22', format: 'esm', external: ['vscode'], banner }
  return esbuild.build({ ...shared, ...options, entryPoints, outdir: 'dist/extension' })
}

function buildPages(esbuild) {
  const names = readdirSync(join(root, 'webview'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const entryPoints = existing(Object.fromEntries(names.map(({ name }) => [name, `webview/${name}/main.ts`])))
  if (Object.keys(entryPoints).length === 0) return
  const options = { platform: 'browser', target: 'chrome140', format: 'iife', loader: { '.svg': 'dataurl' } }
  return esbuild.build({ ...shared, ...options, entryPoints, outdir: 'dist/webview' })
}

/** koffi's JavaScript and its binary for `arch`, without sources and documentation, where Node resolves it from `directory`. */
export function copyKoffi(directory, arch = process.arch, packages = join(root, 'node_modules')) {
  const modules = join(directory, 'node_modules')
  const source = join(root, 'node_modules', 'koffi')
  const wanted = (path) =>
    statSync(path).isDirectory()
      ? !/^(doc|lib|vendor)\b/.test(relative(source, path))
      : /\.(js|cjs|json)$|LICENSE/.test(path) && !path.endsWith('cnoke.cjs')
  cpSync(source, join(modules, 'koffi'), { recursive: true, filter: wanted })
  const binary = join('@koromix', `koffi-linux-${arch}`)
  cpSync(join(packages, binary), join(modules, binary), { recursive: true })
}

/** Answers whether anything had to be built. */
export async function build() {
  const wanted = fingerprint()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return false
  const { default: esbuild } = await import('esbuild')
  mkdirSync(engineOutput, { recursive: true })
  await Promise.all([buildEngine(esbuild), buildRuntime(esbuild), buildExtension(esbuild), buildPages(esbuild)])
  copyKoffi(engineOutput)
  writeFileSync(`${stamp}.new`, wanted)
  renameSync(`${stamp}.new`, stamp)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // The runtime's code is kept as the Node that is meant for it compiles it.
  await underNode('24.0', fileURLToPath(import.meta.url))
  const start = performance.now()
  const built = await build()
  console.log(
    built ? `built in ${Math.round(performance.now() - start)} ms` : 'nothing has changed since the last build',
  )
}
