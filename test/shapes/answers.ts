/** Which answer belongs to which request, and the check of one; written from the documentation, not from the engine. */
import assert from 'node:assert/strict'
import * as z from 'zod'
import * as container from './container.shapes.ts'
import { id } from './pieces.ts'
import * as store from './store.shapes.ts'

type Form = 'document' | 'lines' | 'empty' | 'stream' | 'text'
type Described = { status: number; form: Form; shape?: z.ZodType; type?: string }

const document = (shape: z.ZodType, status = 200): Described => ({ status, form: 'document', shape })
const lines = (shape: z.ZodType): Described => ({ status: 200, form: 'lines', shape })
const empty = (status: number): Described => ({ status, form: 'empty' })
const tar: Described = { status: 200, form: 'stream', type: 'application/x-tar' }
const idOnly = z.strictObject({ Id: id })

/** Method and path, `*` for a name; of two that fit the first counts. */
export const described: Readonly<Record<string, Described>> = {
  'HEAD /_ping': empty(200),
  'GET /_ping': { status: 200, form: 'text', type: 'text/plain; charset=utf-8' },
  'GET /version': document(store.version),
  'GET /info': document(store.info),
  'GET /system/df': document(store.diskUsage),
  'GET /events': lines(store.event),
  'POST /auth': document(store.login),
  'GET /containers/json': document(z.array(container.summary)),
  'POST /containers/create': document(container.created, 201),
  'POST /containers/prune': document(container.prunedContainers),
  'GET /containers/*/json': document(container.inspect),
  'GET /containers/*/top': document(container.top),
  'GET /containers/*/logs': { status: 200, form: 'stream' },
  'GET /containers/*/changes': document(container.changes),
  'GET /containers/*/export': tar,
  'GET /containers/*/stats': lines(container.stats),
  'POST /containers/*/resize': empty(200),
  'POST /containers/*/start': empty(204),
  'POST /containers/*/stop': empty(204),
  'POST /containers/*/restart': empty(204),
  'POST /containers/*/kill': empty(204),
  'POST /containers/*/update': document(z.strictObject({ Warnings: z.array(z.string()) })),
  'POST /containers/*/rename': empty(204),
  'POST /containers/*/pause': empty(204),
  'POST /containers/*/unpause': empty(204),
  'POST /containers/*/wait': document(container.wait),
  'DELETE /containers/*': empty(204),
  'HEAD /containers/*/archive': empty(200),
  'GET /containers/*/archive': tar,
  'PUT /containers/*/archive': empty(200),
  'POST /containers/*/exec': document(idOnly, 201),
  'POST /exec/*/resize': empty(200),
  'GET /exec/*/json': document(container.exec),
  'GET /images/json': document(z.array(store.imageSummary)),
  'POST /images/create': lines(store.progress),
  'POST /images/load': lines(store.progress),
  'POST /images/prune': document(store.prunedImages),
  'GET /images/get': tar,
  'GET /images/*/get': tar,
  'GET /images/search': document(store.searchResults),
  'GET /images/*/json': document(store.image),
  'GET /images/*/history': document(store.history),
  'POST /images/*/push': lines(store.progress),
  'POST /images/*/tag': empty(201),
  'DELETE /images/*': document(store.removedImage),
  'POST /commit': document(store.imageId, 201),
  'GET /distribution/*/json': document(store.distribution),
  'GET /networks': document(z.array(store.network)),
  'POST /networks/create': document(store.createdNetwork, 201),
  'POST /networks/prune': document(store.prunedNetworks),
  'GET /networks/*': document(store.network),
  'POST /networks/*/connect': empty(200),
  'POST /networks/*/disconnect': empty(200),
  'DELETE /networks/*': empty(204),
  'GET /volumes': document(store.volumes),
  'POST /volumes/create': document(store.volume, 201),
  'POST /volumes/prune': document(store.prunedVolumes),
  'GET /volumes/*': document(store.volume),
  'DELETE /volumes/*': empty(204),
  'GET /plugins': document(z.array(z.never())),
}

const patterns = Object.keys(described).map((key) => {
  const [method = '', path = ''] = key.split(' ')
  const source = path.replaceAll('.', '\\.').replaceAll('*', '.+')
  return { key, method, pattern: new RegExp(`^(?:/v1\\.\\d+)?${source}$`) }
})

const failure = z.strictObject({ message: z.string().min(1) })
const numbers = new Set([400, 401, 403, 404, 409, 500, 501, 503])

export type Given = { status: number; headers: Record<string, unknown>; body: Buffer }

/** The description that an answer was held to; undefined for what is not Docker's. Throws where it differs. */
export function checkAnswer(method: string, url: string, answer: Given): string | undefined {
  const path = url.split('?', 1)[0] ?? ''
  if (path.startsWith('/drydock/')) return undefined
  const what = `${method} ${url} → ${answer.status} ${answer.body.toString('utf8', 0, 300)}`
  assert.equal(answer.headers['api-version'], '1.51', what)
  assert.match(String(answer.headers.server), /^Docker\/.* \(linux\)$/, what)
  if (answer.status >= 300) {
    checkFailure(what, answer)
    return undefined
  }
  const key = patterns.find((one) => one.method === method && one.pattern.test(path))?.key
  const wanted = key === undefined ? undefined : described[key]
  if (wanted === undefined) return undefined
  assert.equal(answer.status, wanted.status, what)
  checkBody(what, answer, wanted)
  return key
}

function checkFailure(what: string, { status, headers, body }: Given): void {
  if (status === 304) assert.equal(body.length, 0, what)
  if (!numbers.has(status) || body.length === 0) return
  assert.equal(headers['content-type'], 'application/json', what)
  matches(what, failure, JSON.parse(body.toString()))
}

function checkBody(what: string, { headers, body }: Given, { form, shape, type }: Described): void {
  if (type !== undefined) assert.equal(headers['content-type'], type, what)
  if (form === 'empty') assert.equal(body.length, 0, what)
  if (shape === undefined) return
  assert.equal(headers['content-type'], 'application/json', what)
  const whole = body.toString()
  // An answer that was cut off by the test ends anywhere.
  const found = form === 'document' ? [whole] : whole.split(/\r?\n/).slice(0, -1)
  if (form === 'document') assert.ok(whole.endsWith('\n'), what)
  for (const one of found) matches(what, shape, JSON.parse(one))
}

function matches(what: string, shape: z.ZodType, value: unknown): void {
  const { error } = shape.safeParse(value)
  if (error !== undefined) assert.fail(`${what}\n${z.prettifyError(error)}`)
}
