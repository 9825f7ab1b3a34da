/**
 * The program of a thread that unpacks layers, one after the other, into directories that are given to it. It reads and
 * writes without waiting: nobody else is on this thread. Whatever it opens it closes before it answers.
 */
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { syncTree, unpackLayer } from './unpack.ts'
import { plainError, type UnpackAnswer, type UnpackJob } from './unpack-message.ts'

/** Not 0: nobody wants the layer any more. Shared, since a thread that is at work reads no messages. */
const stop = new Int32Array(workerData as SharedArrayBuffer)
const port = parentPort!

/** As much as the decompressor makes at once. */
const pieceSize = 256 * 1024

const answer = (message: UnpackAnswer): void => port.postMessage(message)

/** One piece is used up before the next is asked for, but for the one on its way through the decompressor. */
async function* piecesOf(blob: number): AsyncGenerator<Buffer> {
  const buffers = [Buffer.allocUnsafeSlow(pieceSize), Buffer.allocUnsafeSlow(pieceSize)]
  for (let turn = 0; ; turn = 1 - turn) {
    const length = readSync(blob, buffers[turn]!)
    if (length === 0) return
    yield buffers[turn]!.subarray(0, length)
  }
}

/** Bytes between two messages about them. */
const progressStep = 1 << 20
let told = 0

function onProgress(bytes: number): void {
  if (Atomics.load(stop, 0) !== 0) throw new Error('stopped')
  if (bytes < told + progressStep) return
  told = bytes
  answer({ read: bytes })
}

async function work({ blob, directory, maxBytes, maxEntries }: UnpackJob): Promise<void> {
  told = 0
  try {
    const unpacked = await unpackLayer(piecesOf(blob), directory, { maxBytes, maxEntries, onProgress })
    syncTree(directory)
    answer({ unpacked })
  } catch (error) {
    answer({ failure: plainError(error) })
  }
}

port.on('message', (job: UnpackJob) => void work(job))
