/** Archives that clients send, plain or compressed; told apart by their first bytes, as Docker does. */
import { PassThrough, pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'

type Format = { magic: Buffer; open: (body: Readable) => Readable }

// The reader of the result sees a failure: pipeline destroys it with the error.
const formats: readonly Format[] = [
  { magic: Buffer.from([0x1f, 0x8b]), open: (body) => pipeline(body, createGunzip(), () => {}) },
  { magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), open: (body) => pipeline(body, createZstdDecompress(), () => {}) },
  {
    magic: Buffer.from('BZh'),
    open: (body) => inPieces(body, async (source) => (await import('../images/bunzip2.ts')).bunzip2(source)),
  },
  {
    magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
    open: (body) => inPieces(body, async (source) => (await import('../images/unxz.ts')).unxz(source)),
  },
]
const longestMagic = 6

/** As fast as it is read, and no faster: what is packed may be of any size. */
const inPieces = (
  body: Readable,
  open: (source: AsyncIterator<Buffer>) => Promise<AsyncGenerator<Buffer>>,
): Readable => {
  async function* pieces(): AsyncGenerator<Buffer> {
    const source: AsyncIterator<Buffer> = body.iterator()
    try {
      yield* await open(source)
    } finally {
      // The rest is nobody's, and must not keep its sender waiting.
      await source.return?.()
    }
  }
  return Readable.from(pieces(), { objectMode: false })
}

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

/** The plain archive of a body. */
export async function decompressed(body: Readable): Promise<Readable> {
  const head = await peek(body, longestMagic)
  const source = body.readableEnded ? emptied(head) : body
  const format = formats.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
  return format === undefined ? source : format.open(source)
}

/** What was read of a body that has ended already. */
function emptied(head: Buffer): Readable {
  const stream = new PassThrough()
  stream.end(head)
  return stream
}
