/** `--init=true` and `--sig-proxy=false`, as Docker's flags can be given; commander knows switches without a value only. */
import type { Command, Option } from 'commander'

const words: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  '1': true,
  false: false,
  f: false,
  '0': false,
}

const takesValue = (option: Option): boolean => option.required || option.optional

const find = (command: Command, flag: string): Option | undefined =>
  command.options.find(({ long, short }) => long === flag || short === flag)

/** The switches of one argument that say what it says: none where it asks for what is so anyway. */
function switchesOf(command: Command, argument: string): string[] {
  const separator = argument.indexOf('=')
  const name = argument.slice(0, separator)
  const value = words[argument.slice(separator + 1).toLowerCase()]
  if (separator < 0 || value === undefined) return [argument]
  const on = find(command, name)
  const off = find(command, name.replace(/^--/, '--no-'))
  if (on !== undefined && !takesValue(on)) return value ? [name] : []
  if (off !== undefined && !takesValue(off)) return value ? [] : [off.long as string]
  return [argument]
}

/** Only up to the first operand: what follows `run IMAGE` is the container's. */
export function withoutBooleanValues(command: Command, args: readonly string[]): string[] {
  const rewritten: string[] = []
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] as string
    if (argument === '--' || !argument.startsWith('-')) return [...rewritten, ...args.slice(at)]
    rewritten.push(...(argument.startsWith('--') ? switchesOf(command, argument) : [argument]))
    const option = find(command, argument)
    if (option?.required && at + 1 < args.length) {
      at += 1
      rewritten.push(args[at] as string)
    }
  }
  return rewritten
}

/** For the command and all below it. */
export function acceptBooleanValues(command: Command): void {
  const parse = command.parseOptions.bind(command)
  command.parseOptions = (args) => parse(withoutBooleanValues(command, args))
  for (const child of command.commands) acceptBooleanValues(child)
}
