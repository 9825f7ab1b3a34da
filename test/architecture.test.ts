/**
 * Holds every file of the project to the ladder of engine/layers.ts and to the rules of architecture-rules.ts. Each rule
 * is also given a file that breaks it: a rule that finds nothing there finds nothing anywhere.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { ladder, reserved } from '../engine/layers.ts'
import {
  borderViolations,
  cycleViolations,
  importsOf,
  ladderViolations,
  nameViolations,
  placeViolations,
  reservedViolations,
  type SourceFile,
  sizeViolations,
} from './architecture-rules.ts'

const root = resolve(import.meta.dirname, '..')
const notOurs = new Set(['node_modules', 'dist', '.git', '.cache', 'test-results', 'package-lock.json'])

function* filesBelow(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (notOurs.has(entry.name)) continue
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else if (entry.isFile()) yield relative(root, path)
  }
}

const read = (path: string): SourceFile => ({ path, text: readFileSync(join(root, path), 'utf8') })
const everything = [...filesBelow(root)]
const sources = everything.filter((path) => /\.(ts|mts|mjs|js|cjs)$/.test(path)).map(read)
const texts = everything.filter((path) => !/\.(png|gif|ico|gz|tar|zst|woff2?|ttf)$/.test(path)).map(read)

/** The checkout and its neighbours, where its parent is somebody's own folder and not one that every machine has. */
function placesOfThisMachine(): string[] {
  const parent = dirname(root)
  const everywhere = ['/', '/tmp', '/home', '/root', '/opt', '/srv', '/var', '/var/tmp', '/mnt', '/usr/src']
  if (everywhere.includes(parent) || !existsSync(parent)) return []
  return readdirSync(parent).map((name) => join(parent, name))
}

test('engine folders import their own folder or a lower rung', () => {
  assert.deepEqual(ladderViolations(sources, ladder), [])
})

test('every rung of the ladder is named once', () => {
  const names = ladder.flat()
  assert.equal(new Set(names).size, names.length)
})

test('the face sees the contract, pages their messages, the engine neither', () => {
  assert.deepEqual(borderViolations(sources), [])
})

test('reserved modules are imported by the files of the table only', () => {
  assert.deepEqual(
    reservedViolations(
      sources.filter(({ path }) => !path.startsWith('.ci/')),
      reserved,
    ),
    [],
  )
})

test('no import circles', () => {
  assert.deepEqual(cycleViolations(sources), [])
})

test('no file is longer than 400 lines, tables aside', () => {
  assert.deepEqual(sizeViolations(sources), [])
})

test('files and folders have kebab-case names that say something', () => {
  assert.deepEqual(nameViolations(sources), [])
})

test('no file names a place on the machine it was written on', () => {
  assert.deepEqual(placeViolations(texts, placesOfThisMachine()), [])
})

const file = (path: string, text = ''): SourceFile => ({ path, text })

test('the rules find what breaks them', async (t) => {
  const rungs = [['base'], ['images', 'network'], ['api']]
  const cases: [name: string, found: string[], expected: RegExp][] = [
    [
      'up',
      ladderViolations([file('engine/base/a.ts', "import { x } from '../api/b.ts'")], rungs),
      /imports up, from api/,
    ],
    [
      'sideways, over several lines',
      ladderViolations([file('engine/images/a.ts', "import {\n  x,\n  type Y,\n} from '../network/b.ts'")], rungs),
      /imports sideways, from network/,
    ],
    ['by re-export', ladderViolations([file('engine/base/a.ts', "export * from '../api/b.ts'")], rungs), /imports up/],
    ['by call', ladderViolations([file('engine/base/a.ts', "await import('../api/b.ts')")], rungs), /imports up/],
    [
      'composition root',
      ladderViolations([file('engine/base/a.ts', "import '../main.ts'")], rungs),
      /no folder of the/,
    ],
    ['unknown folder', ladderViolations([file('engine/extra/a.ts')], rungs), /extra is not on the ladder/],
    [
      'engine in face',
      borderViolations([file('extension/a.ts', "import '../engine/main.ts'")]),
      /not visible from ext/,
    ],
    [
      'contract as value',
      borderViolations([file('extension/a.ts', "import { x } from '../engine/api/contract/docker.ts'")]),
      /not as type only/,
    ],
    [
      'face in engine',
      borderViolations([file('engine/a.ts', "import '../extension/b.ts'")]),
      /not visible from engine/,
    ],
    [
      'face in page',
      borderViolations([file('webview/d/a.ts', "import '../../extension/b.ts'")]),
      /not visible from web/,
    ],
    [
      'koffi',
      reservedViolations([file('engine/kernel/a.ts', "import koffi from 'koffi'")], reserved),
      /is reserved for/,
    ],
    [
      'child processes without prefix',
      reservedViolations([file('engine/api/a.ts', "import { spawn } from 'child_process'")], reserved),
      /is reserved for/,
    ],
    [
      'circle of three',
      cycleViolations([
        file('engine/a.ts', "import './b.ts'"),
        file('engine/b.ts', "import type { X } from './c.ts'"),
        file('engine/c.ts', "import './a.ts'"),
      ]),
      /^engine\/a.ts → engine\/b.ts → engine\/c.ts → engine\/a.ts$/,
    ],
    ['long file', sizeViolations([file('engine/a.ts', 'x\n'.repeat(401))]), /401 lines/],
    ['utils', nameViolations([file('engine/base/utils.ts')]), /says nothing/],
    ['helpers folder', nameViolations([file('test/helpers/a.ts')]), /says nothing/],
    ['camelCase', nameViolations([file('engine/base/someThing.ts')]), /not in kebab-case/],
    [
      'place',
      placeViolations([file('README.md', 'see /home/ann/drydock/x')], ['/home/ann/drydock']),
      /names \/home\/ann/,
    ],
  ]
  for (const [name, found, expected] of cases)
    await t.test(name, () => {
      assert.equal(found.length, 1, found.join('\n'))
      assert.match(found[0] as string, expected)
    })
})

test('the rules leave alone what is allowed', () => {
  assert.deepEqual(
    ladderViolations([file('engine/api/a.ts', "import { x } from '../base/b.ts'")], [['base'], ['api']]),
    [],
  )
  const contract = "import type { Port } from '../engine/api/contract/docker.ts'"
  assert.deepEqual(borderViolations([file('extension/a.ts', contract)]), [])
  assert.deepEqual(reservedViolations([file('engine/kernel/a.ffi.ts', "import koffi from 'koffi'")], reserved), [])
  assert.deepEqual(
    sizeViolations([file('engine/a.table.ts', 'x\n'.repeat(900)), file('engine/b.ts', 'x\n'.repeat(400))]),
    [],
  )
  assert.deepEqual(placeViolations([file('a.md', 'mounted at /src/maintenance')], ['/src/main']), [])
})

test('imports are read from the text, comments are not', () => {
  const text =
    "// import 'no'\n/* import 'no' */\nimport a, { type B } from 'yes'\nimport type { C } from './c.ts'\nimport './d.ts'"
  assert.deepEqual(importsOf(text), [
    { specifier: 'yes', typeOnly: false },
    { specifier: './c.ts', typeOnly: true },
    { specifier: './d.ts', typeOnly: false },
  ])
})
