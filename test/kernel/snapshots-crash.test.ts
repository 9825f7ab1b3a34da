/** The store is killed (kill -9) in the middle of its work, again and again; what it said was done must be done. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { OverlaySnapshotter } from '../../engine/snapshots/overlay-snapshotter.ts'
import { ImageBed, needsRoot } from './image-bed.ts'

const url = (path: string): string => JSON.stringify(new URL(`../../engine/${path}`, import.meta.url).href)

/** Commits layers and makes and removes snapshots for ever, telling each thing that is done. */
const worker = `
  import { writeFileSync, mkdirSync, writeSync } from 'node:fs'
  import { Database } from ${url('base/database.ts')}
  import { OverlaySnapshotter, snapshotSchema } from ${url('snapshots/overlay-snapshotter.ts')}
  const [, root, round] = process.argv
  const database = new Database(root + '/database', [snapshotSchema])
  const snapshotter = new OverlaySnapshotter(database, root)
  await snapshotter.recover()
  const tell = (line) => writeSync(1, line + '\\n')
  for (let index = 0; ; index += 1) {
    const name = round + '-' + index
    const staged = await snapshotter.stage()
    mkdirSync(staged.directory + '/d')
    for (let file = 0; file < 20; file += 1) writeFileSync(staged.directory + '/d/' + file, name)
    await staged.commit('chain ' + name, { parent: undefined, ownRoot: false })
    tell('layer ' + name)
    await snapshotter.prepare('key ' + name, 'chain ' + name)
    tell('snapshot ' + name)
    if (index % 2 === 1) {
      await snapshotter.remove('key ' + name)
      tell('removed ' + name)
      await snapshotter.collect((chain) => chain !== 'chain ' + name)
      tell('collected ' + name)
    }
  }
`

type Told = { layers: Set<string>; snapshots: Set<string>; begun: string | undefined }

/** Lets it say so many things, then kills it. */
async function runAndKill(root: string, round: number, lines: number, told: Told): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', worker, root, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let left = lines
  for await (const line of createInterface({ input: child.stdout! })) {
    const [what, name] = line.split(' ') as [string, string]
    if (what === 'layer') told.layers.add(name)
    else if (what === 'snapshot') told.snapshots.add(name)
    else if (what === 'removed') told.snapshots.delete(name)
    else told.layers.delete(name)
    told.begun = `${what} ${name}`
    left -= 1
    if (left === 0) child.kill('SIGKILL')
  }
  await exited
}

/** What was being done when the kill came may be done or not. */
const underWay = ({ begun }: Told, name: string): boolean => begun?.endsWith(` ${name}`) === true

test('what was acknowledged survives kill -9, and nothing else is left', { skip: needsRoot }, async () => {
  await using bed = new ImageBed()
  const told: Told = { layers: new Set(), snapshots: new Set(), begun: undefined }
  for (const [round, lines] of [1, 2, 5, 6, 8, 13].entries()) {
    await runAndKill(bed.root, round, lines, told)
    const snapshotter = new OverlaySnapshotter(bed.database, bed.root)
    await snapshotter.recover()
    await snapshotter.settled()
    for (const name of told.layers) {
      if (underWay(told, name) && !snapshotter.has(`chain ${name}`)) {
        told.layers.delete(name)
        continue
      }
      const [bottom] = snapshotter.view(`chain ${name}`)[0]!.lower
      assert.equal(readdirSync(join(bottom!, 'd')).length, 20)
      assert.equal(readFileSync(join(bottom!, 'd/19'), 'utf8'), name)
    }
    const keys = new Set(bed.database.all('SELECT key FROM snapshot').map((row) => String(row.key)))
    for (const name of told.snapshots)
      if (underWay(told, name) && !keys.has(`key ${name}`)) told.snapshots.delete(name)
      else assert.ok(existsSync(snapshotter.mounts(`key ${name}`)[0]!.upper!))
    const rows = bed.database.all('SELECT directory FROM snapshot_layer UNION ALL SELECT directory FROM snapshot')
    const directories = readdirSync(join(bed.root, 'snapshots')).filter((name) => /^\d+$/.test(name))
    assert.deepEqual(directories.sort(), rows.map((row) => String(row.directory)).sort())
    assert.deepEqual(readdirSync(join(bed.root, 'snapshots/trash')), [])
  }
})
