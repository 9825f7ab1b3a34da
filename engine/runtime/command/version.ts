/** What this runtime says of itself. */
import { engineVersion } from '../../base/engine-version.ts'

/** The newest version of the runtime specification that config.json may have. */
export const specVersion = '1.2.1'

/** First the name and a version of three numbers, as callers look for them. */
export const versionText = (program: string): string =>
  `${program} version ${engineVersion}\ncommit: drydock ${engineVersion}\nspec: ${specVersion}\nnode: ${process.version}\n`
