import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../../../engine/images/digest.ts'
import { parseManifest } from '../../../engine/images/manifest.ts'

const digest = sha256('x')
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 1 }
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 1 }
const parse = (document: object, served?: string) =>
  parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, ...document })), 'it', served)

test('a manifest and an index are told apart by what they hold', () => {
  assert.deepEqual(parse({ config, layers: [layer] }), {
    kind: 'manifest',
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: [layer],
  })
  const docker = 'application/vnd.docker.distribution.manifest.v2+json'
  assert.equal(parse({ config, layers: [] }, docker).mediaType, docker)
  assert.equal(parse({ mediaType: docker, config, layers: [] }, 'text/plain').mediaType, docker)
  assert.equal(parse({ manifests: [] }).kind, 'index')
  assert.equal(parse({ manifests: [{ ...layer, platform: null }] }).kind, 'index')
})

const refused: [what: string, document: object, message: RegExp][] = [
  ['another schema', { schemaVersion: 3 }, /no schemaVersion 2/],
  ['neither layers nor manifests', {}, /neither clearly/],
  ['layers and manifests', { layers: [], manifests: [] }, /neither clearly/],
  ['no configuration', { layers: [] }, /malformed: config/],
  ['a negative size', { config, layers: [{ ...layer, size: -1 }] }, /malformed: layers\.0\.size/],
  ['a size that is no number', { config, layers: [{ ...layer, size: '1' }] }, /malformed: layers\.0\.size/],
  ['a size beyond counting', { config, layers: [{ ...layer, size: 2 ** 60 }] }, /malformed: layers\.0\.size/],
  [
    'a digest of another kind',
    { config, layers: [{ ...layer, digest: `md5:${'0'.repeat(32)}` }] },
    /layers\.0\.digest/,
  ],
  ['a layer of another kind', { config, layers: [{ ...layer, mediaType: 'image/png' }] }, /unknown media type/],
  [
    'an encrypted layer',
    { config, layers: [{ ...layer, mediaType: `${layer.mediaType}+encrypted` }] },
    /unknown media/,
  ],
  ['too many layers', { config, layers: Array(501).fill(layer) }, /malformed: layers/],
]

for (const [what, document, message] of refused)
  test(`${what} is refused`, () => {
    assert.throws(() => parse(document), { kind: 'invalid', message })
  })

test('JSON that is none, an array, or nested without end is refused', () => {
  for (const [text, message] of [
    ['{"a":', /not JSON/],
    ['[]', /not a JSON object/],
    ['null', /not a JSON object/],
    [`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, /nested more than/],
  ] as const)
    assert.throws(() => parseManifest(Buffer.from(text), 'it'), { kind: 'invalid', message })
  const brackets = { config, layers: [], annotations: { a: '[[[[\\"{{{{'.repeat(100) } }
  assert.equal(parse(brackets).kind, 'manifest', 'brackets in texts do not nest')
})
