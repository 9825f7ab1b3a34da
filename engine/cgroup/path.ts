/** OCI cgroupsPath, checked: what it names lies inside the hierarchy. */
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'

/** What an engine's groups are in. '' is the machine's own installation; any other text, say its root, has a group of its own. */
export const parentGroup = (instance: string): string =>
  instance === '' ? '/drydock' : `/drydock-${createHash('sha256').update(instance).digest('hex').slice(0, 8)}`

/** `/drydock/ID`: absolute, normal, not the root. A relative path is taken below `/drydock`; config-linux.md. */
export function cgroupPath(untrusted: string): string {
  const refuse = (): never => {
    throw new EngineError('invalid', `invalid cgroup path ${JSON.stringify(untrusted)}`)
  }
  if (untrusted.includes('\0') || untrusted.includes('\n') || untrusted.split('/').includes('..')) return refuse()
  const path = posix.normalize(untrusted.startsWith('/') ? untrusted : `/drydock/${untrusted}`).replace(/\/$/, '')
  return path === '' ? refuse() : path
}

/** `/a`, `/a/b`, `/a/b/c` for `/a/b/c`. */
export function ancestry(path: string): string[] {
  const names = path.split('/').slice(1)
  return names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)
}
