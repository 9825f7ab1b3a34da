/** The machine's switch for passing packets on, without which containers reach nothing beyond it; sysctl, ip-sysctl. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IpVersion } from '../base/address.ts'
import { isErrno } from '../kernel/libc.ffi.ts'

const switches = { 4: 'ipv4/ip_forward', 6: 'ipv6/conf/all/forwarding' } as const

const settingPath = (name: string): string => `/proc/sys/net/${name}`

const settingOf = (name: string): string | undefined => {
  try {
    return readFileSync(settingPath(name), 'utf8').trim()
  } catch (error) {
    // A kernel without IPv6 has no such file.
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** A container that runs the engine may find the file read-only, and set already. */
function change(name: string, value: string): void {
  try {
    writeFileSync(settingPath(name), value)
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EROFS')) throw error
  }
}

/**
 * A machine that forwards is a router and, for IPv6, takes no routes from its routers' advertisements any more, unless it
 * is told to all the same (accept_ra 2): without that, switching forwarding on would cost it its own way out.
 */
function keepAdvertisedRoutes(): void {
  for (const name of readdirSync(settingPath('ipv6/conf')))
    if (name !== 'all' && settingOf(`ipv6/conf/${name}/accept_ra`) === '1') change(`ipv6/conf/${name}/accept_ra`, '2')
}

export class Forwarding {
  readonly #directory: string

  constructor(execRoot: string) {
    this.#directory = join(execRoot, 'forwarding')
  }

  /** Noted before it is done: a crash in between leaves a note too many, which the next call makes true. */
  switchOn(version: IpVersion): void {
    if (settingOf(switches[version]) !== '0') return
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    writeFileSync(join(this.#directory, `${version}`), '')
    if (version === 6) keepAdvertisedRoutes()
    change(switches[version], '1')
  }

  /** In this boot it was this engine. */
  get switchedOnHere(): boolean {
    return existsSync(this.#directory)
  }

  /** As it was before, where nobody else forwards meanwhile. */
  restore(othersForward: boolean): void {
    for (const version of [4, 6] as const)
      if (!othersForward && existsSync(join(this.#directory, `${version}`))) change(switches[version], '0')
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
