/** Parts of Docker's API for what a single machine does not have; clients ask and must get an answer. */
import { EngineError } from '../base/errors.ts'
import { json } from './answer.ts'
import { byName } from './query.schema.ts'
import type { Method, Route } from './route.ts'
import { route } from './route.ts'

const notManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'

const refusing = (method: Method, path: string, kind: 'unavailable' | 'not-implemented', sentence: string): Route =>
  route({
    method,
    path,
    handle: () => {
      throw new EngineError(kind, sentence)
    },
  })

const kinds = ['nodes', 'services', 'tasks', 'secrets', 'configs']

const swarm: Route[] = [
  refusing('GET', '/swarm', 'unavailable', notManager),
  refusing('GET', '/swarm/unlockkey', 'unavailable', notManager),
  ...['init', 'join'].map((verb) =>
    refusing('POST', `/swarm/${verb}`, 'not-implemented', 'this engine is one machine: it cannot be part of a swarm'),
  ),
  ...['leave', 'update', 'unlock'].map((verb) => refusing('POST', `/swarm/${verb}`, 'unavailable', notManager)),
  refusing('PUT', '/volumes/{name}', 'unavailable', notManager),
  ...['services', 'tasks'].map((kind) => refusing('GET', `/${kind}/{id}/logs`, 'unavailable', notManager)),
  ...kinds.flatMap((kind) => [
    refusing('GET', `/${kind}`, 'unavailable', notManager),
    refusing('POST', `/${kind}/create`, 'unavailable', notManager),
    refusing('GET', `/${kind}/{id}`, 'unavailable', notManager),
    refusing('DELETE', `/${kind}/{id}`, 'unavailable', notManager),
    refusing('POST', `/${kind}/{id}/update`, 'unavailable', notManager),
  ]),
]

const noPlugins = 'plugins are not offered: this engine loads no code of others'

const missingPlugin = (method: Method, path: string): Route =>
  route({
    method,
    path,
    params: byName,
    handle: (_engine, { params }) => {
      throw new EngineError('not-found', `plugin "${params.name}" not found`)
    },
  })

const plugins: Route[] = [
  route({ method: 'GET', path: '/plugins', handle: () => json([]) }),
  refusing('GET', '/plugins/privileges', 'not-implemented', noPlugins),
  refusing('POST', '/plugins/pull', 'not-implemented', noPlugins),
  refusing('POST', '/plugins/create', 'not-implemented', noPlugins),
  missingPlugin('GET', '/plugins/{name}/json'),
  missingPlugin('DELETE', '/plugins/{name}'),
  ...['enable', 'disable', 'upgrade', 'push', 'set'].map((verb) => missingPlugin('POST', `/plugins/{name}/${verb}`)),
]

const notExperimental =
  'checkpoints are an experimental feature, which is disabled by default: this engine does not offer it'

const checkpoints: Route[] = [
  refusing('GET', '/containers/{id}/checkpoints', 'not-implemented', notExperimental),
  refusing('POST', '/containers/{id}/checkpoints', 'not-implemented', notExperimental),
  refusing('DELETE', '/containers/{id}/checkpoints/{checkpoint}', 'not-implemented', notExperimental),
]

export const absentRoutes: readonly Route[] = [...swarm, ...plugins, ...checkpoints]
