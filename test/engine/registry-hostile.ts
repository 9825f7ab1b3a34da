/** For tests: a small registry on loopback that misbehaves as told, and remembers what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { HandmadeImage } from '../registry.ts'

export type Asked = { method: string; path: string; headers: IncomingMessage['headers'] }
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse, times: number) => boolean | undefined

export type HostileRegistry = AsyncDisposable & {
  host: string
  url: string
  asked: Asked[]
  /** Serves the image under the tag. */
  add(repository: string, tag: string, image: HandmadeImage): void
  /** Serves any bytes at a path below /v2/. */
  serve(path: string, type: string, bytes: Buffer): void
  /** Answers requests to paths that contain the text; `times` counts from 1; false lets the honest answer happen. */
  on(text: string, misbehave: Misbehaviour): void
  count(text: string): number
}

export async function startHostile(): Promise<HostileRegistry> {
  const served = new Map<string, { type: string; bytes: Buffer }>()
  const rules: { text: string; misbehave: Misbehaviour; times: number }[] = []
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const path = request.url!
    asked.push({ method: request.method!, path, headers: request.headers })
    for (const rule of rules)
      if (path.includes(rule.text)) {
        rule.times += 1
        if (rule.misbehave(request, response, rule.times) !== false) return
      }
    honest(request, response, served)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const serve = (path: string, type: string, bytes: Buffer): void => void served.set(`/v2/${path}`, { type, bytes })
  return {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/`,
    asked,
    serve,
    add(repository, tag, image) {
      for (const name of [tag, image.digest]) serve(`${repository}/manifests/${name}`, image.mediaType, image.manifest)
      for (const blob of [image.config, ...image.layers])
        serve(`${repository}/blobs/${blob.digest}`, 'application/octet-stream', blob.bytes)
    },
    on: (text, misbehave) => void rules.push({ text, misbehave, times: 0 }),
    count: (text) => asked.filter(({ path }) => path.includes(text)).length,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function honest(
  request: IncomingMessage,
  response: ServerResponse,
  served: ReadonlyMap<string, { type: string; bytes: Buffer }>,
): void {
  const path = request.url!
  const found = path === '/v2/' ? { type: 'application/json', bytes: Buffer.from('{}') } : served.get(path)
  if (found === undefined) {
    const code = path.includes('/manifests/') ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN'
    refuse(response, 404, code, 'not here')
    return
  }
  const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
  const body = found.bytes.subarray(Number(start ?? 0))
  response.writeHead(start === undefined ? 200 : 206, {
    'content-type': found.type,
    'content-length': body.byteLength,
    ...(start !== undefined && {
      'content-range': `bytes ${start}-${found.bytes.byteLength - 1}/${found.bytes.byteLength}`,
    }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

export function refuse(response: ServerResponse, status: number, code: string, message: string): true {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code, message }] }))
  return true
}

/** Announces everything, sends the first half, and then does what `after` says. */
export function sendHalf(response: ServerResponse, bytes: Buffer, after: (response: ServerResponse) => void): true {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.byteLength })
  response.write(bytes.subarray(0, bytes.byteLength / 2), () => after(response))
  return true
}

/** An index that finds these, as Docker Hub's search answers. */
export async function startIndex(results: readonly object[]): Promise<HostileRegistry> {
  const index = await startHostile()
  index.on('/v1/search', (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ num_results: results.length, query: '', results }))
    return true
  })
  return index
}
