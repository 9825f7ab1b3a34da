/** What every response carries; clients negotiate by it. */
import { newest } from './api-version.ts'
import { engineVersion } from './engine-version.ts'

export const commonHeaders: Readonly<Record<string, string>> = {
  'Api-Version': newest,
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: `Docker/${engineVersion} (linux)`,
}
