/** Which image of an index fits a machine: normal forms and order of preference as containerd's platforms package. */
import { EngineError } from '../base/errors.ts'
import type { IndexEntry, Platform } from './manifest.ts'

const architectures: Record<string, string> = {
  x64: 'amd64',
  x86_64: 'amd64',
  'x86-64': 'amd64',
  ia32: '386',
  i386: '386',
  i686: '386',
  aarch64: 'arm64',
  ppc64: 'ppc64le',
  mips64el: 'mips64le',
}

/** Variants that say no more than the architecture. */
const plainVariants: Record<string, string> = { amd64: 'v1', arm64: 'v8' }

/** What a machine of the first can run, best first. */
const downward: Record<string, readonly string[]> = {
  amd64: ['v4', 'v3', 'v2', ''],
  arm64: ['v9', ''],
  arm: ['v8', 'v7', 'v6', 'v5'],
}

function normal(platform: Platform): Platform {
  const named = platform.architecture.toLowerCase()
  if (named === 'armhf') return { os: platform.os.toLowerCase(), architecture: 'arm', variant: 'v7' }
  if (named === 'armel') return { os: platform.os.toLowerCase(), architecture: 'arm', variant: 'v6' }
  const architecture = architectures[named] ?? named
  const given = platform.variant.toLowerCase().replace(/^(\d)/, 'v$1')
  const variant = architecture === 'arm' && given === '' ? 'v7' : given
  return {
    os: platform.os.toLowerCase(),
    architecture,
    variant: plainVariants[architecture] === variant ? '' : variant,
  }
}

export const hostPlatform = (): Platform => normal({ os: 'linux', architecture: process.arch, variant: '' })

/** `os/arch[/variant]`, or an architecture or `linux` alone. Throws invalid. */
export function parsePlatform(text: string | undefined): Platform {
  if (text === undefined || text === '') return hostPlatform()
  const parts = text.split('/')
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+$/.test(part)))
    throw new EngineError('invalid', `${JSON.stringify(text)} is not a platform: expected os/architecture[/variant]`)
  const [first, second, third] = parts as [string, string?, string?]
  if (second === undefined)
    return first.toLowerCase() === 'linux' ? hostPlatform() : normal({ os: 'linux', architecture: first, variant: '' })
  return normal({ os: first, architecture: second, variant: third ?? '' })
}

export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, variant].filter((part) => part !== '').join('/')

/** How well `offered` fits: 0 is exact, higher is older, undefined does not run. */
function distance(wanted: Platform, offered: Platform): number | undefined {
  const candidate = normal(offered)
  if (candidate.os !== wanted.os || candidate.architecture !== wanted.architecture) return undefined
  if (candidate.variant === wanted.variant) return 0
  const order = downward[wanted.architecture] ?? []
  const steps = order.indexOf(candidate.variant) - order.indexOf(wanted.variant)
  return order.includes(candidate.variant) && order.includes(wanted.variant) && steps > 0 ? steps : undefined
}

export const runsOn = (wanted: Platform, offered: Platform): boolean => distance(wanted, offered) !== undefined

/** The best entry, the earlier of two equals; entries for no platform (attestations say `unknown`) are passed over. */
export function choosePlatform(entries: readonly IndexEntry[], wanted: Platform): IndexEntry | undefined {
  let best: { entry: IndexEntry; distance: number } | undefined
  for (const entry of entries) {
    const found = entry.platform == null ? undefined : distance(wanted, entry.platform)
    if (found !== undefined && found < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { entry, distance: found }
  }
  const [only] = entries
  return best?.entry ?? (entries.length === 1 && only?.platform == null ? only : undefined)
}
