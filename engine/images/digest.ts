/** Content digests (image-spec descriptor.md, "Digests") and the chain ids made of them (config.md, "Layer ChainID"). */
import { createHash, type Hash } from 'node:crypto'
import { EngineError } from '../base/errors.ts'

declare const checked: unique symbol

/** `sha256:` and 64 lower-case hex digits; can only be made by checking, so it is safe as a file name after the colon. */
export type Digest = string & { readonly [checked]: 'digest' }

const pattern = /^sha256:[0-9a-f]{64}$/

export const isDigest = (text: string): text is Digest => pattern.test(text)

/** Throws invalid. `what` names the thing the digest was given for. */
export function parseDigest(text: unknown, what = 'digest'): Digest {
  if (typeof text === 'string' && isDigest(text)) return text
  const shown = JSON.stringify(text)?.slice(0, 120) ?? String(text)
  if (typeof text === 'string' && /^[a-z0-9+._-]+:/.test(text) && !text.startsWith('sha256:'))
    throw new EngineError('invalid', `${what} ${shown}: only sha256 digests are supported`)
  throw new EngineError('invalid', `${what} ${shown} is not a sha256 digest`)
}

/** The 64 hex digits. */
export const hexOf = (digest: Digest): string => digest.slice('sha256:'.length)

export const newHash = (): Hash => createHash('sha256')

/** Ends the hash. */
export const digestOf = (hash: Hash): Digest => `sha256:${hash.digest('hex')}` as Digest

export const sha256 = (bytes: Uint8Array | string): Digest => digestOf(newHash().update(bytes))

/** The chain id of each layer with all below it, lowest first; the last one stands for the whole stack. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chains: Digest[] = []
  for (const diffId of diffIds) {
    const below = chains.at(-1)
    chains.push(below === undefined ? diffId : sha256(`${below} ${diffId}`))
  }
  return chains
}

/** The chain id of the whole stack; undefined for no layers. */
export const chainId = (diffIds: readonly Digest[]): Digest | undefined => chainIds(diffIds).at(-1)
