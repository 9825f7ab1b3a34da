/** Parts of Docker's API for what a single machine does not have; clients ask and must get an answer. */
import { EngineError } from '../base/errors.ts'
import { json } from './answer.ts'
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
  ...kinds.flatMap((kind) => [
    refusing('GET', `/${kind}`, 'unavailable', notManager),
    refusing('POST', `/${kind}/create`, 'unavailable', notManager),
    refusing('GET', `/${kind}/{id}`, 'unavailable', notManager),
    refusing('DELETE', `/${kind}/{id}`, 'unavailable', notManager),
    refusing('POST', `/${kind}/{id}/update`, 'unavailable', notManager),
  ]),
]

const noPlugins = 'plugins are not offered: this engine loads no code of others'

const plugins: Route[] = [
  route({ method: 'GET', path: '/plugins', handle: () => json([]) }),
  refusing('GET', '/plugins/privileges', 'not-implemented', noPlugins),
  refusing('POST', '/plugins/pull', 'not-implemented', noPlugins),
  refusing('POST', '/plugins/create', 'not-implemented', noPlugins),
  route({
    method: 'GET',
    path: '/plugins/{name}/json',
    handle: () => {
      throw new EngineError('not-found', 'plugin not found: this engine has none')
    },
  }),
  refusing('DELETE', '/plugins/{name}', 'not-implemented', noPlugins),
  ...['enable', 'disable', 'upgrade', 'push', 'set'].map((verb) =>
    refusing('POST', `/plugins/{name}/${verb}`, 'not-implemented', noPlugins),
  ),
]

export const absentRoutes: readonly Route[] = [...swarm, ...plugins]
