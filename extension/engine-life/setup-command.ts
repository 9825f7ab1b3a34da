export type SetupVerb = 'install' | 'start' | 'stop' | 'status' | 'uninstall'

export type SetupFacts = {
  /** The Node program that runs the set-up, and that it copies for the engine. */
  node: string
  /** The bundle: dist/engine/main.js. */
  engine: string
  socketPath: string
  /** Of the user the engine is for. */
  uid: number
  /** The programs of PATH that can give root's rights, absolute, best first. Empty: none. */
  elevators: readonly string[]
}

/**
 * The words of a set-up command; nothing goes through a shell's quoting. Root needs nobody's leave.
 * Null where this user has no way to become root.
 */
export function setupWords(verb: SetupVerb, facts: SetupFacts): string[] | null {
  const own = [facts.node, facts.engine, 'setup', verb]
  if (verb === 'install') own.push('--user', String(facts.uid), '--socket', facts.socketPath)
  if (facts.uid === 0 || verb === 'status') return own
  const elevator = facts.elevators[0]
  return elevator === undefined ? null : [elevator, ...own]
}

/** Keeps the terminal open after a failure, so that its words can be read. The words come as positional parameters. */
export const terminalScript =
  '"$@"; code=$?; if [ $code -ne 0 ]; then printf "\\nThis did not work (exit code %s). Press Enter to close. " $code; read -r _; fi; exit $code'

/** For a person to copy: single quotes where a shell would see more than a word. */
export const asShellText = (words: readonly string[]): string =>
  words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
