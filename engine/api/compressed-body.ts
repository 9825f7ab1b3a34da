/** Archives that clients send, plain or compressed; told apart by their first bytes, as Docker does. */
import { PassThrough, pipeline, type Readable, type Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { invalid } from './errors.ts'

type Format = { name: string; magic: Buffer; open: (() => Transform) | undefined }

const formats: readonly Format[] = [
  { name: 'gzip', magic: Buffer.from([0x1f, 0x8b]), open: () => createGunzip() },
  { name: 'zstd', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), open: () => createZstdDecompress() },
  { name: 'bzip2', magic: Buffer.from('BZh'), open: undefined },
  { name: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), open: undefined },
]
const longestMagic = 6

/** The first bytes of a stream, put back again. Fewer where it ends before. */
async function peek(stream: Readable, size: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  while (length < size) {
    const chunk: Buffer | null = stream.read()
    if (chunk !== null) {
      chunks.push(chunk)
      length += chunk.length
    } else if (stream.readableEnded || stream.destroyed) break
    else if (!(await more(stream))) break
  }
  const head = Buffer.concat(chunks)
  if (head.length > 0 && !stream.readableEnded) stream.unshift(head)
  return head
}

/** False at the end of the stream; throws what it fails with. */
const more = (stream: Readable): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const settle = (work: () => void) => () => {
      for (const [name, listener] of listeners) stream.off(name, listener)
      work()
    }
    const listeners: [string, (error?: Error) => void][] = [
      ['readable', settle(() => resolve(true))],
      ['end', settle(() => resolve(false))],
      ['close', settle(() => resolve(false))],
      ['error', (error) => settle(() => reject(error))()],
    ]
    for (const [name, listener] of listeners) stream.on(name, listener)
  })

/** The plain archive of a body. invalid for a compression that Node cannot read. */
export async function decompressed(body: Readable): Promise<Readable> {
  const head = await peek(body, longestMagic)
  const format = formats.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
  if (format === undefined) return body.readableEnded ? emptied(head) : body
  if (format.open === undefined)
    throw invalid(`archives compressed with ${format.name} cannot be read: use gzip or zstd`)
  // The reader of the result sees the failure: pipeline destroys it with the error.
  return pipeline(body, format.open(), () => {})
}

/** What was read of a body that has ended already. */
function emptied(head: Buffer): Readable {
  const stream = new PassThrough()
  stream.end(head)
  return stream
}
