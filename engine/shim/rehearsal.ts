/** What the spawner's children do beside running containers; for `rehearse` of runtime/rehearsal.ts. */
import { withHome } from '../runtime/credentials.ts'
import { findExecutable } from '../runtime/executable.ts'
import { rehearsalRounds } from '../runtime/rehearsal.ts'
import { formatConfig, parseConfig } from '../spec/config-json.ts'
import { defaults } from '../spec/defaults.ts'
import { LogWriter } from './log-writer.ts'
import { encodeFrame, FrameReader } from './protocol.ts'

/** Touches nothing but memory. */
export function warmUpTalk(): void {
  const frames = new FrameReader()
  frames.add(encodeFrame({ number: 1, op: 'create' }))
  frames.next()
  parseConfig(formatConfig(defaults()))
}

export function rehearseTalk(): void {
  warmUpTalk()
  using log = new LogWriter({ driver: 'json-file', path: '/dev/null', maxSize: -1, maxFile: 1 })
  const line = Buffer.from('a line with "quotes", a tab\t and an end\n')
  for (let round = 0; round < rehearsalRounds; round += 1) log.write('stdout', line, line.length)
  try {
    findExecutable('sh', withHome(['PATH=/usr/bin:/bin'], 0))
  } catch {
    // A machine without a shell: the walk is what counted.
  }
}
