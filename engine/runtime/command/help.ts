/** Help texts, in the layout that scripts know from runc. Pure. */
import type { Flag } from './flags.ts'
import { globalFlags, type Verb, verbs } from './verbs.table.ts'

function flagLines(flags: readonly Flag[]): string {
  const rows = flags
    .filter(({ hidden }) => hidden !== true)
    .map((flag): [string, string] => {
      const value = flag.kind === 'boolean' ? '' : ' value'
      const [long, short] = flag.names
      const names = short === undefined ? `--${long}${value}` : `--${long}${value}, -${short}${value}`
      return [
        names,
        flag.default === undefined ? flag.usage : `${flag.usage} (default: ${JSON.stringify(flag.default)})`,
      ]
    })
  const width = Math.max(0, ...rows.map(([names]) => names.length))
  return rows.map(([names, usage]) => `   ${names.padEnd(width)}  ${usage}\n`).join('')
}

export function programHelp(program: string, version: string): string {
  const width = Math.max(...verbs.map(({ name }) => name.length))
  const list = verbs.map(({ name, usage }) => `   ${name.padEnd(width)}  ${usage}\n`).join('')
  return `NAME:
   ${program} - Open Container Initiative runtime

Makes and runs containers out of bundles: directories with a config.json and a root file system. Speaks the command
line of runc, so that podman, containerd and others can use it in its place.

USAGE:
   ${program} [global options] command [command options] [arguments...]

VERSION:
   ${version}

COMMANDS:
${list}   ${'help, h'.padEnd(width)}  show this list, or the help of one command

GLOBAL OPTIONS:
${flagLines(globalFlags)}`
}

export function verbHelp(program: string, verb: Verb): string {
  const options = verb.flags.some(({ hidden }) => hidden !== true)
  return `NAME:
   ${program} ${verb.name} - ${verb.usage}

USAGE:
   ${program} ${verb.name}${options ? ' [command options]' : ''}${verb.arguments === '' ? '' : ` ${verb.arguments}`}
${verb.about === undefined ? '' : `\nDESCRIPTION:\n${verb.about.replaceAll(/^/gm, '   ')}\n`}${options ? `\nOPTIONS:\n${flagLines(verb.flags)}` : ''}`
}
