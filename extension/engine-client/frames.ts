export type Frame = { stream: 'stdin' | 'stdout' | 'stderr'; payload: Buffer }

const streams = ['stdin', 'stdout', 'stderr'] as const
const headerLength = 8

/**
 * Takes Docker's multiplexed output apart: 1 byte stream, 3 bytes zero, 4 bytes big-endian length, payload.
 * A payload is passed on as it arrives, so a frame of any size needs no memory of that size.
 */
export class FrameReader {
  #header = Buffer.alloc(0)
  #stream: Frame['stream'] = 'stdout'
  #remaining = 0

  /** The pieces of payload that this chunk holds. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = []
    let data = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    while (data.length > 0) {
      if (this.#remaining === 0) data = this.#readHeader(data)
      const payload = data.subarray(0, this.#remaining)
      if (payload.length > 0) frames.push({ stream: this.#stream, payload })
      this.#remaining -= payload.length
      data = data.subarray(payload.length)
    }
    return frames
  }

  #readHeader(data: Buffer): Buffer {
    const missing = headerLength - this.#header.length
    this.#header = Buffer.concat([this.#header, data.subarray(0, missing)])
    if (this.#header.length === headerLength) {
      this.#stream = streams[this.#header[0] ?? 1] ?? 'stderr'
      this.#remaining = this.#header.readUInt32BE(4)
      this.#header = Buffer.alloc(0)
    }
    return data.subarray(missing)
  }
}

/** The payload bytes of a stream that may or may not be multiplexed. */
export async function* payloads(chunks: AsyncIterable<Uint8Array>, multiplexed: boolean): AsyncGenerator<Uint8Array> {
  const reader = new FrameReader()
  for await (const chunk of chunks) {
    if (!multiplexed) yield chunk
    else for (const frame of reader.push(chunk)) yield frame.payload
  }
}
