/** What every response carries; clients negotiate by it. */

import { engineVersion } from '../base/engine-version.ts'
import { newest } from './api-version.ts'

export const commonHeaders: Readonly<Record<string, string>> = {
  'Api-Version': newest,
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: `Docker/${engineVersion} (linux)`,
}
