/** The flags of `run` and `create` as they are given; docker run(1). */
import { type Command, Option } from 'commander'
import type { RestartPolicy } from '../api/contract/docker.ts'
import { lists, switches, values } from './create-flags.table.ts'
import { flagParsers } from './flag-parsers.ts'

export type CreateFlags = {
  name?: string
  platform?: string
  pull: 'always' | 'missing' | 'never'
  quiet?: boolean
  interactive?: boolean
  tty?: boolean
  detach?: boolean
  detachKeys?: string
  attach: string[]
  sigProxy: boolean
  cidfile?: string
  env: string[]
  envFile: string[]
  label: string[]
  volume: string[]
  mount: string[]
  tmpfs: string[]
  publish: string[]
  publishAll?: boolean
  expose: string[]
  workdir?: string
  user?: string
  hostname?: string
  domainname?: string
  entrypoint?: string
  network: string[]
  networkAlias: string[]
  ip?: string
  addHost: string[]
  dns: string[]
  dnsSearch: string[]
  dnsOption: string[]
  restart?: RestartPolicy
  rm?: boolean
  init?: boolean
  privileged?: boolean
  readOnly?: boolean
  capAdd: string[]
  capDrop: string[]
  securityOpt: string[]
  groupAdd: string[]
  device: string[]
  ulimit: string[]
  sysctl: string[]
  memory?: number
  memorySwap?: number
  memoryReservation?: number
  cpus?: number
  cpuShares?: number
  cpuPeriod?: number
  cpuQuota?: number
  cpusetCpus?: string
  cpusetMems?: string
  pidsLimit?: number
  blkioWeight?: number
  oomKillDisable?: boolean
  oomScoreAdj?: number
  shmSize?: number
  cgroupParent?: string
  cgroupns?: string
  ipc?: string
  pid?: string
  uts?: string
  userns?: string
  stopSignal?: string
  stopTimeout?: number
  volumesFrom: string[]
  logDriver?: string
  logOpt: string[]
  annotation: string[]
  labelFile: string[]
  deviceCgroupRule: string[]
  deviceReadBps: string[]
  deviceWriteBps: string[]
  deviceReadIops: string[]
  deviceWriteIops: string[]
  blkioWeightDevice: string[]
  ip6?: string
  macAddress?: string
  memorySwappiness?: number
  runtime?: string
  healthCmd?: string
  healthInterval?: number
  healthTimeout?: number
  healthStartPeriod?: number
  healthStartInterval?: number
  healthRetries?: number
  /** false: `--no-healthcheck`. */
  healthcheck?: boolean
}

/** Adds them to `run` or `create`. What follows the image is the container's. */
export function addCreateFlags(command: Command): Command {
  for (const [flags, description] of lists) command.option(flags, description, flagParsers.collect, [])
  for (const [flags, description, parse] of values)
    if (parse === undefined) command.option(flags, description)
    else command.option(flags, description, parse)
  for (const [flags, description] of switches) command.option(flags, description)
  // Docker's short names; -h is the host's name here, so help is the long one alone.
  command.helpOption('--help')
  command.addOption(
    new Option('--net <name>', 'as --network').argParser(flagParsers.collect).default([], '').hideHelp(),
  )
  return command
    .addOption(new Option('--pull <when>', 'when to pull').choices(['always', 'missing', 'never']).default('missing'))
    .passThroughOptions()
    .argument('<image>')
    .argument('[command...]')
}
