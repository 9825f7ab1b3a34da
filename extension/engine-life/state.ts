/**
 * Where the engine stands, as the views' welcome texts tell it (context key `drydock.engine`).
 * `denied`: it runs, but this user may not open its socket.
 */
export type EngineState = 'unsupported' | 'untrusted' | 'not-set-up' | 'starting' | 'stopped' | 'denied' | 'running'

export type EngineFacts = {
  platform: NodeJS.Platform
  trusted: boolean
  /** The set-up has put its files in their place. */
  installed: boolean
  /** Somebody asked for a start that has not come to its end. */
  starting: boolean
  /** How the last try to reach the socket went: a system error code, or null where the engine answered. */
  failure: string | null
}

export function stateOf(facts: EngineFacts): EngineState {
  if (facts.platform !== 'linux') return 'unsupported'
  if (!facts.trusted) return 'untrusted'
  if (facts.failure === null) return 'running'
  if (facts.starting) return 'starting'
  if (facts.failure === 'EACCES') return 'denied'
  return facts.installed ? 'stopped' : 'not-set-up'
}

export type Remedy = { title: string; command: string }

/** One sentence for each state in which nothing can be done, and the one thing that helps. */
export const hindrances: Record<Exclude<EngineState, 'running'>, { sentence: string; remedy: Remedy }> = {
  unsupported: {
    sentence: 'Containers need Linux: open this folder in WSL or over SSH on a Linux machine.',
    remedy: { title: 'Open a Remote Window', command: 'workbench.action.remote.showMenu' },
  },
  untrusted: {
    sentence: 'Drydock runs nothing in a workspace that is not trusted.',
    remedy: { title: 'Manage Trust', command: 'workbench.trust.manage' },
  },
  'not-set-up': {
    sentence: 'The container engine is not set up on this machine.',
    remedy: { title: 'Set Up Engine', command: 'drydock.engine.setup' },
  },
  starting: {
    sentence: 'The container engine is starting.',
    remedy: { title: 'Show Log', command: 'drydock.engine.showLog' },
  },
  stopped: {
    sentence: 'The container engine is stopped.',
    remedy: { title: 'Start Engine', command: 'drydock.engine.start' },
  },
  denied: {
    sentence: 'The container engine runs, but its socket belongs to another user.',
    remedy: { title: 'Set Up for This User', command: 'drydock.engine.setup' },
  },
}
