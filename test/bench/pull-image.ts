/** An image of about 370 MB, compressed, in 4 layers, in the store of a docker-registry below .cache: made once. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { imageOf, layerOf, noRegistry, putImage } from '../registry.ts'
import { cache, type Place } from './place.ts'

const store = join(cache, 'registry')
const address = '127.0.0.1:5999'
export const pullReference = { name: `${address}/bench/large`, tag: '1' }

function configFile(): string {
  const path = join(cache, 'registry.yml')
  const storage = { filesystem: { rootdirectory: store } }
  const log = { level: 'error', accesslog: { disabled: true } }
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ version: '0.1', log, storage, http: { addr: address } }))
  return path
}

/** Base64 compresses to three quarters: like programs, neither text nor noise. */
async function layer(): Promise<Buffer> {
  const files: Record<string, string> = {}
  for (let at = 0; at < 240; at += 1) files[`data-${at}`] = randomBytes(393_216).toString('base64')
  return layerOf(files)
}

async function ready(child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    if (await fetch(`http://${address}/v2/`).catch(() => undefined)) return
    await sleep(20)
  }
  throw new Error(`docker-registry ended with ${child.exitCode}`)
}

export async function ensurePullImage(): Promise<void> {
  const done = join(cache, 'registry.done')
  if (noRegistry) throw new Error(noRegistry)
  if (existsSync(done)) return
  rmSync(store, { recursive: true, force: true })
  mkdirSync(store, { recursive: true })
  const child = spawn('docker-registry', ['serve', configFile()], { stdio: 'ignore' })
  try {
    await ready(child)
    const tars = [await layer(), await layer(), await layer(), await layer()]
    await putImage(`http://${address}/`, 'bench/large', pullReference.tag, imageOf(tars, {}, true))
    writeFileSync(done, '')
  } finally {
    child.kill('SIGKILL')
  }
}

/** The registry on the loopback of the peer's own network. */
export async function registryAt(place: Place): Promise<Disposable> {
  const child = place.spawn('docker-registry', ['serve', configFile()])
  await sleep(500)
  return {
    [Symbol.dispose]: () => {
      child.kill('SIGKILL')
    },
  }
}
