import { StringDecoder } from 'node:string_decoder'

/** A hostile peer must not make a line grow without end. Characters. */
const longestLine = 16 * 1024 * 1024

/** Splits a byte stream into lines without their line ends; an unfinished last line is given too. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of chunks) {
    rest += decoder.write(Buffer.from(chunk))
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longestLine) throw new Error(`The engine sent a line of more than ${longestLine} characters.`)
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
  rest += decoder.end()
  if (rest) yield rest
}

/** One JSON value per line; blank lines are skipped. */
export async function* jsonLines<T>(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  for await (const line of linesOf(chunks)) if (line.trim()) yield JSON.parse(line) as T
}
