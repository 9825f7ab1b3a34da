/** The verbs that take containers and do one thing to each: stop, kill, rm, …; and logs, wait, top, port. */
import type { Command } from 'commander'
import type { ContainerInspect, TopAnswer, WaitAnswer } from '../api/contract/docker.ts'
import { type ApiClient, containerPath } from './api-client.ts'
import type { CreateFlags } from './create-flags.ts'
import { limitsOf } from './create-request.ts'
import { forEach } from './each.ts'
import { flagParsers } from './flag-parsers.ts'
import { Unframe } from './session.ts'
import { table } from './table.ts'
import { parseMoment } from './units.ts'

type LogFlags = {
  follow?: boolean
  tail: string
  since?: string
  until?: string
  timestamps?: boolean
  details?: boolean
}

async function logs(client: ApiClient, name: string, flags: LogFlags): Promise<void> {
  const { Config } = await client.json<ContainerInspect>('GET', containerPath(name, '/json'))
  const query = {
    stdout: 1,
    stderr: 1,
    follow: flags.follow === true ? 1 : undefined,
    tail: flags.tail,
    since: flags.since === undefined ? undefined : parseMoment(flags.since),
    until: flags.until === undefined ? undefined : parseMoment(flags.until),
    timestamps: flags.timestamps === true ? 1 : undefined,
    details: flags.details === true ? 1 : undefined,
  }
  const response = await client.open('GET', containerPath(name, '/logs'), { query })
  const output = Config.Tty === true ? process.stdout : new Unframe(process.stdout, process.stderr)
  response.pipe(output, { end: false })
  await new Promise<void>((resolve, reject) => response.once('end', resolve).once('error', reject))
}

async function top(client: ApiClient, name: string, psArguments: string[]): Promise<void> {
  const query = { ps_args: psArguments.length === 0 ? undefined : psArguments.join(' ') }
  const { Titles, Processes } = await client.json<TopAnswer>('GET', containerPath(name, '/top'), { query })
  process.stdout.write(table(Titles, Processes, 20))
}

async function port(client: ApiClient, name: string, wanted: string | undefined): Promise<void> {
  const { NetworkSettings } = await client.json<ContainerInspect>('GET', containerPath(name, '/json'))
  const key = wanted === undefined || wanted.includes('/') ? wanted : `${wanted}/tcp`
  const entries = Object.entries(NetworkSettings.Ports ?? {}).filter(([inside]) => key === undefined || inside === key)
  const lines = entries.flatMap(([inside, bindings]) =>
    (bindings ?? []).map(({ HostIp, HostPort }) => {
      const outside = `${HostIp.includes(':') ? `[${HostIp}]` : HostIp}:${HostPort}`
      return key === undefined ? `${inside} -> ${outside}` : outside
    }),
  )
  if (key !== undefined && lines.length === 0) throw new Error(`Error: No public port '${key}' published for ${name}`)
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}

type StopFlags = { timeout?: number; time?: number; signal?: string }

function addStops(program: Command, client: () => ApiClient): void {
  for (const [verb, description] of [
    ['stop', 'Stop running containers'],
    ['restart', 'Restart containers'],
  ] as const)
    program
      .command(verb)
      .description(description)
      .option('-t, --timeout <seconds>', 'before it is killed', flagParsers.integer)
      .option('--time <seconds>', 'as --timeout', flagParsers.integer)
      .option('-s, --signal <signal>', 'to stop it with')
      .argument('<container...>')
      .action((names: string[], { timeout, time, signal }: StopFlags) =>
        forEach(names, (name) =>
          client().send('POST', containerPath(name, `/${verb}`), { query: { t: timeout ?? time, signal } }),
        ),
      )
  program
    .command('kill')
    .description('Kill running containers')
    .option('-s, --signal <signal>', 'to send', 'KILL')
    .argument('<container...>')
    .action((names: string[], { signal }: { signal: string }) =>
      forEach(names, (name) => client().send('POST', containerPath(name, '/kill'), { query: { signal } })),
    )
  for (const verb of ['pause', 'unpause'])
    program
      .command(verb)
      .description(verb === 'pause' ? 'Freeze all processes' : 'Let them go on')
      .argument('<container...>')
      .action((names: string[]) => forEach(names, (name) => client().send('POST', containerPath(name, `/${verb}`))))
}

function addChanges(program: Command, client: () => ApiClient): void {
  program
    .command('rm')
    .description('Remove containers')
    .option('-f, --force', 'also when it runs')
    .option('-v, --volumes', 'with its anonymous volumes')
    .argument('<container...>')
    .action((names: string[], { force, volumes }: { force?: boolean; volumes?: boolean }) =>
      forEach(names, (name) =>
        client().send('DELETE', containerPath(name), {
          query: { force: force === true ? 1 : undefined, v: volumes === true ? 1 : undefined },
        }),
      ),
    )
  program
    .command('rename')
    .description('Rename a container')
    .argument('<container>')
    .argument('<name>')
    .action(
      async (name: string, to: string) =>
        void (await client().send('POST', containerPath(name, '/rename'), { query: { name: to } })),
    )
  program
    .command('update')
    .description('Change limits')
    .option('-m, --memory <bytes>', 'memory limit', flagParsers.bytes)
    .option('--memory-swap <bytes>', 'memory and swap', flagParsers.swap)
    .option('--memory-reservation <bytes>', 'soft limit', flagParsers.bytes)
    .option('--cpus <number>', 'processors', flagParsers.cpus)
    .option('-c, --cpu-shares <weight>', 'relative weight', flagParsers.integer)
    .option('--cpu-period <us>', 'period of the quota', flagParsers.integer)
    .option('--cpu-quota <us>', 'quota in a period', flagParsers.integer)
    .option('--cpuset-cpus <list>', 'processors to use')
    .option('--cpuset-mems <list>', 'memory nodes to use')
    .option('--pids-limit <number>', 'processes', flagParsers.integer)
    .option('--blkio-weight <weight>', '10 to 1000', flagParsers.integer)
    .option('--restart <policy>', 'restart policy', flagParsers.restart)
    .argument('<container...>')
    .action((names: string[], flags: Partial<CreateFlags>) => {
      const body = { ...limitsOf(flags), ...(flags.restart === undefined ? {} : { RestartPolicy: flags.restart }) }
      return forEach(names, (name) => client().send('POST', containerPath(name, '/update'), { body }))
    })
}

function addLooks(program: Command, client: () => ApiClient): void {
  program
    .command('logs')
    .description('Fetch the output of a container')
    .option('-f, --follow', 'go on')
    .option('-n, --tail <lines>', 'from the end', 'all')
    .option('--since <time>', 'a time, or a duration back')
    .option('--until <time>', 'a time, or a duration back')
    .option('-t, --timestamps', 'with times')
    .option('--details', 'with attributes')
    .argument('<container>')
    .action((name: string, flags: LogFlags) => logs(client(), name, flags))
  program
    .command('wait')
    .description('Wait for containers to end, and print their exit codes')
    .argument('<container...>')
    .action(async (names: string[]) => {
      for (const name of names)
        process.stdout.write(`${(await client().json<WaitAnswer>('POST', containerPath(name, '/wait'))).StatusCode}\n`)
    })
  program
    .command('top')
    .description('The processes of a container')
    .passThroughOptions()
    .allowUnknownOption()
    .argument('<container>')
    .argument('[ps-options...]')
    .action((name: string, psArguments: string[]) => top(client(), name, psArguments))
  program
    .command('port')
    .description('Published ports')
    .argument('<container>')
    .argument('[port]')
    .action((name: string, wanted: string | undefined) => port(client(), name, wanted))
}

export function addContainerVerbs(program: Command, client: () => ApiClient): void {
  addStops(program, client)
  addChanges(program, client)
  addLooks(program, client)
}
