/** Archives that clients ask for, packed where they say that they can unpack them; wire fact 108, RFC 9110 section 12.5.3. */
import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createDeflateRaw, createGzip } from 'node:zlib'
import { type Answer, bytes } from './answer.ts'

const fast = { level: constants.Z_BEST_SPEED }

/** `deflate` is without zlib's header, as dockerd has it, and browsers have learnt to take it. */
const coders = {
  gzip: (): Transform => createGzip(fast),
  deflate: (): Transform => createDeflateRaw(fast),
}
type Coding = keyof typeof coders

/** The one that is liked best, gzip where two are; undefined: none. */
export function codingOf(accept: string | undefined): Coding | undefined {
  let best: { coding: Coding | undefined; weight: number } = { coding: undefined, weight: 0 }
  const liked = (accept ?? '').split(',', 20).map((part) => {
    const [name = '', ...parameters] = part.split(';', 5).map((word) => word.trim().toLowerCase())
    const weight = parameters.find((word) => word.startsWith('q='))?.slice(2)
    return { name, weight: weight === undefined ? 1 : Number(weight) || 0 }
  })
  for (const coding of ['gzip', 'deflate'] as const)
    for (const { name, weight } of liked)
      if ((name === coding || name === '*') && weight > best.weight) best = { coding, weight }
  return best.coding
}

export function archiveAnswer(stream: Readable, accept: string | undefined, headers: Record<string, string>): Answer {
  const coding = codingOf(accept)
  if (coding === undefined) return bytes(stream, 'application/x-tar', headers)
  // The reader of the result sees a failure: pipeline destroys it with the error.
  const packed = pipeline(stream, coders[coding](), () => {})
  return bytes(packed, 'application/x-tar', { ...headers, 'Content-Encoding': coding })
}
