/** `exec`: one more process in a running container. */
import type { Command } from 'commander'
import type { CreateExecAnswer, ExecInspect } from '../api/contract/docker.ts'
import { type ApiClient, containerPath } from './api-client.ts'
import { flagParsers } from './flag-parsers.ts'
import { environment, given } from './flag-values.ts'
import { checkTerminal, runSession, windowSize } from './session.ts'

type ExecFlags = {
  detach?: boolean
  interactive?: boolean
  tty?: boolean
  privileged?: boolean
  env: string[]
  envFile: string[]
  user?: string
  workdir?: string
  detachKeys?: string
}

async function exec(client: ApiClient, name: string, command: string[], flags: ExecFlags): Promise<number> {
  const terminal = flags.tty === true
  const stdin = flags.interactive === true && flags.detach !== true
  checkTerminal({ stdin, terminal })
  const ConsoleSize = terminal ? windowSize() : undefined
  const body = {
    AttachStdin: stdin,
    AttachStdout: flags.detach !== true,
    AttachStderr: flags.detach !== true,
    Tty: terminal,
    Env: environment(flags.env, flags.envFile, process.env),
    Cmd: command,
    Privileged: flags.privileged === true,
    ...given({ User: flags.user, WorkingDir: flags.workdir, DetachKeys: flags.detachKeys, ConsoleSize }),
  }
  const { Id } = await client.json<CreateExecAnswer>('POST', containerPath(name, '/exec'), { body })
  if (flags.detach === true) {
    await client.send('POST', `/exec/${Id}/start`, { body: { Detach: true, Tty: terminal } })
    return 0
  }
  const start = { Detach: false, Tty: terminal, ...given({ ConsoleSize }) }
  const { socket, framed } = await client.hijack(`/exec/${Id}/start`, { body: start })
  const resize = ([h, w]: [number, number]) => client.send('POST', `/exec/${Id}/resize`, { query: { h, w } })
  await runSession({ socket, framed, stdin, terminal, resize })
  const { ExitCode } = await client.json<ExecInspect>('GET', `/exec/${Id}/json`)
  return ExitCode ?? 0
}

export function addExecCommand(program: Command, client: () => ApiClient): void {
  program
    .command('exec')
    .description('Execute a command in a running container')
    .option('-d, --detach', 'in the background')
    .option('-i, --interactive', 'keep stdin open')
    .option('-t, --tty', 'a terminal')
    .option('--privileged', 'every capability')
    .option('-e, --env <entry>', 'environment', flagParsers.collect, [])
    .option('--env-file <file>', 'environment from a file', flagParsers.collect, [])
    .option('-u, --user <user>', 'name or id [:group]')
    .option('-w, --workdir <path>', 'working directory')
    .option('--detach-keys <keys>', 'key sequence that detaches')
    .passThroughOptions()
    .argument('<container>')
    .argument('<command...>')
    .action(async (name: string, command: string[], flags: ExecFlags) => {
      process.exitCode = await exec(client(), name, command, flags)
    })
}
