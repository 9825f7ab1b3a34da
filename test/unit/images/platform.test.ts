import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../../../engine/images/digest.ts'
import type { IndexEntry } from '../../../engine/images/manifest.ts'
import { choosePlatform, hostPlatform, parsePlatform, platformText } from '../../../engine/images/platform.ts'

const entry = (text: string): IndexEntry => {
  const [os = '', architecture = '', variant = ''] = text.split('/')
  return { mediaType: '', digest: sha256(text), size: 1, platform: { os, architecture, variant } }
}

const chosen = (wanted: string, ...offered: string[]): string | undefined => {
  const found = choosePlatform(offered.map(entry), parsePlatform(wanted))
  return offered.find((text) => sha256(text) === found?.digest)
}

test('the same platform has many names', () => {
  for (const [text, normal] of [
    ['linux/x86_64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armhf', 'linux/arm/v7'],
    ['Linux/AMD64', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
  ] as const)
    assert.equal(platformText(parsePlatform(text)), normal)
  assert.deepEqual(parsePlatform(undefined), hostPlatform())
  assert.deepEqual(parsePlatform('linux'), hostPlatform())
})

test('what is no platform is refused', () => {
  for (const text of ['a/b/c/d', 'linux//v7', '/', 'linux/a:b', 'linux/arm 64'])
    assert.throws(() => parsePlatform(text), { kind: 'invalid' })
})

test('the exact one wins, then the nearest older variant; newer ones never', () => {
  assert.equal(chosen('linux/amd64', 'linux/arm64', 'linux/amd64'), 'linux/amd64')
  assert.equal(chosen('linux/amd64', 'linux/amd64/v3', 'linux/amd64'), 'linux/amd64')
  assert.equal(chosen('linux/amd64', 'linux/amd64/v3'), undefined)
  assert.equal(chosen('linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2'), 'linux/amd64/v2')
  assert.equal(chosen('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6', 'linux/arm/v8'), 'linux/arm/v6')
  assert.equal(chosen('linux/arm64', 'linux/arm64/v8'), 'linux/arm64/v8')
  assert.equal(chosen('linux/arm64', 'linux/arm/v7'), undefined)
  assert.equal(chosen('linux/amd64', 'windows/amd64', 'unknown/unknown'), undefined)
})

test('an only entry without a platform is taken', () => {
  const { platform: _, ...plain } = entry('x')
  assert.equal(choosePlatform([plain], hostPlatform()), plain)
  assert.equal(choosePlatform([plain, entry('windows/amd64')], hostPlatform()), undefined)
})
