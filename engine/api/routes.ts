/** All routes of the API. */
import { absentRoutes } from './absent.routes.ts'
import { containerRunRoutes } from './container-run.routes.ts'
import { containerStreamRoutes } from './container-streams.routes.ts'
import { containerRoutes } from './containers.routes.ts'
import { drydockRoutes } from './drydock.routes.ts'
import { eventRoutes } from './events.routes.ts'
import { execRoutes } from './exec.routes.ts'
import { imageTransferRoutes } from './image-transfer.routes.ts'
import { imageRoutes } from './images.routes.ts'
import { networkRoutes } from './networks.routes.ts'
import type { Route } from './route.ts'
import { statsRoutes } from './stats.routes.ts'
import { systemRoutes } from './system.routes.ts'
import { volumeRoutes } from './volumes.routes.ts'

export const routes: readonly Route[] = [
  ...systemRoutes,
  ...eventRoutes,
  ...containerRoutes,
  ...containerRunRoutes,
  ...containerStreamRoutes,
  ...statsRoutes,
  ...execRoutes,
  ...imageRoutes,
  ...imageTransferRoutes,
  ...networkRoutes,
  ...volumeRoutes,
  ...drydockRoutes,
  ...absentRoutes,
]
