/** Writes answers to ordinary HTTP responses. */
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { type Answer, JsonText, type LinesAnswer } from './answer.ts'
import { errorBody, wireError } from './errors.ts'
import { commonHeaders } from './headers.ts'

/** Whole documents: the content type is compared literally by clients, and so has no charset. */
function sendWhole(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | undefined,
): void {
  const bare = status === 204 || status === 304
  const length = bare ? {} : { 'Content-Length': String(Buffer.byteLength(body ?? '')) }
  response.writeHead(status, { ...commonHeaders, ...headers, ...length })
  response.end(bare ? undefined : body)
}

/** Answers with an error, or cuts the connection where an answer has begun already. */
export function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const { status, message } = wireError(error)
  sendWhole(response, status, { 'Content-Type': 'application/json' }, errorBody(message))
}

async function sendLines(response: ServerResponse, answer: LinesAnswer, signal: AbortSignal): Promise<void> {
  const start = (): void => {
    if (response.headersSent) return
    response.writeHead(200, { ...commonHeaders, 'Content-Type': 'application/json' })
    response.flushHeaders()
  }
  if (answer.early) start()
  const write = (value: unknown): boolean => {
    if (signal.aborted) return false
    start()
    const text = value instanceof JsonText ? value.text : JSON.stringify(value)
    return response.write(text + answer.lineEnd)
  }
  try {
    await answer.produce(write, signal, () => response.writableLength)
    start()
  } catch (error) {
    if (!response.headersSent || !answer.errorLine) throw error
    const { message } = wireError(error)
    write({ errorDetail: { message }, error: message })
  }
  response.end()
}

/** Sends any answer but the ones that take the connection over. */
export async function send(response: ServerResponse, answer: Answer, signal: AbortSignal): Promise<void> {
  switch (answer.kind) {
    case 'json':
      sendWhole(
        response,
        answer.status,
        { ...answer.headers, 'Content-Type': 'application/json' },
        `${JSON.stringify(answer.value)}\n`,
      )
      return
    case 'text':
      sendWhole(
        response,
        answer.status,
        { 'Content-Type': 'text/plain; charset=utf-8', ...answer.headers },
        answer.text,
      )
      return
    case 'empty':
      sendWhole(response, answer.status, answer.headers, undefined)
      return
    case 'bytes':
      response.writeHead(200, { ...commonHeaders, ...answer.headers })
      response.flushHeaders()
      await pipeline(answer.stream, response, { signal })
      return
    case 'lines':
      await sendLines(response, answer, signal)
      return
    case 'hijack':
    case 'web-socket':
      throw new Error('a route that takes the connection over must say so in its declaration')
  }
}
