import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  canonical,
  familiar,
  familiarName,
  parseReference,
  parseTag,
  repositoryName,
  withDefaultTag,
} from '../../../engine/images/reference.ts'

const hex = 'a'.repeat(64)

const forms: [written: string, full: string, familiar: string][] = [
  ['alpine', 'docker.io/library/alpine', 'alpine'],
  ['alpine:3.20', 'docker.io/library/alpine:3.20', 'alpine:3.20'],
  ['library/alpine', 'docker.io/library/alpine', 'alpine'],
  ['docker.io/alpine', 'docker.io/library/alpine', 'alpine'],
  ['index.docker.io/library/alpine', 'docker.io/library/alpine', 'alpine'],
  ['grafana/loki:2', 'docker.io/grafana/loki:2', 'grafana/loki:2'],
  ['library/a/b', 'docker.io/library/a/b', 'library/a/b'],
  ['localhost/x', 'localhost/x', 'localhost/x'],
  ['localhost:5000/x:1', 'localhost:5000/x:1', 'localhost:5000/x:1'],
  ['ghcr.io/a/b/c', 'ghcr.io/a/b/c', 'ghcr.io/a/b/c'],
  ['[::1]:5000/x', '[::1]:5000/x', '[::1]:5000/x'],
  ['Host/x', 'Host/x', 'Host/x'],
  ['local/x', 'docker.io/local/x', 'local/x'],
  ['a__b/c--d.e', 'docker.io/a__b/c--d.e', 'a__b/c--d.e'],
  [`x@sha256:${hex}`, `docker.io/library/x@sha256:${hex}`, `x@sha256:${hex}`],
  [`x:1@sha256:${hex}`, `docker.io/library/x:1@sha256:${hex}`, `x:1@sha256:${hex}`],
  [`${'a'.repeat(63)}`, `docker.io/library/${'a'.repeat(63)}`, 'a'.repeat(63)],
]

for (const [written, full, short] of forms)
  test(`${written.slice(0, 30)} means ${full.slice(0, 40)}`, () => {
    const reference = parseReference(written)
    assert.equal(canonical(reference), full)
    assert.equal(familiar(reference), short)
    assert.deepEqual(parseReference(familiar(reference)), reference, 'the familiar form reads back as the same')
  })

const refused: [text: string, message: RegExp | string][] = [
  ['', 'invalid reference format'],
  ['Alpine', 'invalid reference format: repository name (library/Alpine) must be lowercase'],
  ['a/B:1', /repository name \(.*B\) must be lowercase/],
  ['x:', 'invalid reference format'],
  ['x:-tag', 'invalid reference format'],
  [`x:${'t'.repeat(129)}`, 'invalid reference format'],
  ['x@', 'invalid reference format'],
  ['x@sha256:abc', 'invalid reference format'],
  [`x@sha256:${'a'.repeat(40)}`, 'invalid checksum digest length'],
  [`x@sha256:${'A'.repeat(64)}`, 'invalid checksum digest format'],
  [`x@md5:${'a'.repeat(32)}`, 'unsupported digest algorithm'],
  [hex, /cannot specify 64-byte hexadecimal strings/],
  ['a//b', 'invalid reference format'],
  ['-a', 'invalid reference format'],
  ['a___b', 'invalid reference format'],
  ['a..b', 'invalid reference format'],
  ['../x', 'invalid reference format'],
  ['host.example/../x', 'invalid reference format'],
  ['host.example:port/x', 'invalid reference format'],
  ['a b', 'invalid reference format'],
  ['x\n', 'invalid reference format'],
  ['http://host.example/x', 'invalid reference format'],
  [`r.example/${'a'.repeat(256)}`, /must not be more than 255 characters/],
  ['a/'.repeat(100_000), 'invalid reference format'],
]

for (const [text, message] of refused)
  test(`${JSON.stringify(text.slice(0, 40))} is refused`, () => {
    assert.throws(() => parseReference(text), { kind: 'invalid', message })
  })

test('latest is implied where there is neither tag nor digest', () => {
  assert.equal(familiar(withDefaultTag(parseReference('x'))), 'x:latest')
  assert.equal(familiar(withDefaultTag(parseReference('x:1'))), 'x:1')
  assert.equal(withDefaultTag(parseReference(`x@sha256:${hex}`)).tag, undefined)
})

test('a tag to give has no digest', () => {
  assert.equal(familiar(parseTag('x')), 'x:latest')
  assert.throws(() => parseTag(`x@sha256:${hex}`), {
    kind: 'invalid',
    message: 'refusing to create a tag with a digest reference',
  })
})

test('names of the repository', () => {
  const reference = parseReference('alpine:1')
  assert.equal(repositoryName(reference), 'docker.io/library/alpine')
  assert.equal(familiarName(reference), 'alpine')
})
