/** Where other people's clients are, and why a test of theirs skips; .ci/clients.mjs installs them for `npm test`. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { dockerConfig, packagesHome } from '../../.ci/clients.mjs'
import { noEngine } from '../engine/engine.ts'

export { dockerConfig, packagesHome }

export const noDocker: string | false =
  noEngine || (spawnSync('docker', ['--version']).status === 0 ? false : 'needs the docker command line')

export const noCompose: string | false =
  noDocker ||
  (existsSync(join(dockerConfig, 'cli-plugins/docker-compose'))
    ? false
    : (process.env.DRYDOCK_NO_COMPOSE ?? 'needs docker compose: npm test sets it up'))

export const noPackages: string | false =
  noEngine ||
  (existsSync(packagesHome) ? false : (process.env.DRYDOCK_NO_PACKAGES ?? 'needs packages that npm test sets up'))

/** A package of npm, as its own program would load it. */
export const load = <T>(name: string): T => createRequire(join(packagesHome, 'package.json'))(name) as T
