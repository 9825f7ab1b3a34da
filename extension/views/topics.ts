import type { EngineEvent } from '../engine-client/engine-event.ts'

/** What a view shows, as far as events tell that it has changed. */
export type Topic = 'containers' | 'images' | 'storage' | 'system'

export const topics: readonly Topic[] = ['containers', 'images', 'storage', 'system']

/** Actions that change nothing that a list shows. Some carry a detail after a colon. */
const silent = /^(?:attach|detach|resize|top|copy|export|archive-path|extract-to-dir|exec_\w+)(?::|$)/

export function topicsOf(event: Pick<EngineEvent, 'Type' | 'Action'>): readonly Topic[] {
  if (event.Type === 'container') return silent.test(event.Action) ? [] : ['containers', 'system']
  if (event.Type === 'image') return ['images']
  if (event.Type === 'volume' || event.Type === 'network') return ['storage']
  return ['system']
}
