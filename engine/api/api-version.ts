/** The versions of the Docker Engine API that are spoken here, and the `/v1.51` prefix of a path. */
import { invalid } from './errors.ts'

export type ApiVersion = readonly [major: number, minor: number]

export const newest = '1.51'
/** Below dockerd's own 1.24: skopeo of Debian 12 says 1.22 without asking, and needs nothing that changed since. */
export const oldest = '1.22'

const parse = (text: string): ApiVersion => {
  const [major, minor] = text.split('.')
  return [Number(major), Number(minor ?? 0)]
}

const compare = (a: ApiVersion, b: ApiVersion): number => a[0] - b[0] || a[1] - b[1]

export const atLeast = (version: ApiVersion, text: string): boolean => compare(version, parse(text)) >= 0

/** Takes the version prefix off a path; without one the newest version is meant. invalid outside of what is spoken. */
export function splitVersion(path: string): { version: ApiVersion; path: string } {
  const prefix = /^\/v([0-9][0-9.]*)(?=\/|$)/.exec(path)
  if (prefix === null) return { version: parse(newest), path }
  const text = prefix[1]!
  const version = parse(text)
  if (!/^\d+(\.\d+)?$/.test(text)) throw invalid(`invalid API version in the path: ${text}`)
  if (compare(version, parse(newest)) > 0)
    throw invalid(`client version ${text} is too new. Maximum supported API version is ${newest}`)
  if (compare(version, parse(oldest)) < 0)
    throw invalid(
      `client version ${text} is too old. Minimum supported API version is ${oldest}, please upgrade your client to a newer version`,
    )
  return { version, path: path.slice(prefix[0].length) || '/' }
}
