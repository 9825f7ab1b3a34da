/** With whose rights the engine mounts paths of the machine for a client. */
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import type { Engine } from './engine.ts'
import type { ApiRequest } from './route.ts'

/** Ready to be spread into a request of the layers below: nothing where the client is root, or as good as root. */
export function clientOption(engine: Engine, request: ApiRequest): { client?: Credentials } {
  if (engine.clientMounts === 'any') return {}
  const client = request.peer()
  return client.uid === 0 ? {} : { client }
}
