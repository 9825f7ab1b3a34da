/** `--link` on the default bridge: another container under a name of one's own, in /etc/hosts and in variables. */
import { EngineError } from '../base/errors.ts'
import type { Container, HostConfig } from './container.ts'
import type { Engine } from './engine.ts'

type Link = { name: string; alias: string }

/** `container`, `container:alias`; slashes of older clients count for nothing. */
export function parseLink(text: string): Link {
  const [name = '', alias = name, ...rest] = text.split(':').map((part) => part.replace(/^\//, ''))
  if (name === '' || alias === '' || rest.length > 0) throw new EngineError('invalid', `bad format for links: ${text}`)
  return { name, alias }
}

const linksOf = ({ Links }: Pick<HostConfig, 'Links'>): Link[] => (Links ?? []).map(parseLink)

/** As they are kept: with the names that containers have. Throws invalid where there is no such container. */
export function checkedLinks(engine: Engine, host: HostConfig): string[] {
  const links = linksOf(host)
  if (links.length > 0 && host.NetworkMode === 'host')
    throw new EngineError(
      'invalid',
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    )
  return links.map(({ name, alias }) => {
    const child = found(engine, name)
    if (child === undefined) throw new EngineError('invalid', `could not get container for ${name}`)
    return `${child.name}:${alias === name ? child.name : alias}`
  })
}

function found(engine: Engine, name: string): Container | undefined {
  try {
    return engine.table.get(name)
  } catch {
    return undefined
  }
}

type LinkedContainer = { alias: string; child: Container; address: string }

/** Only on the default bridge: on other networks names are served. Throws where one does not run. */
export function linkedContainers(engine: Engine, container: Container): LinkedContainer[] {
  if (container.hostConfig.NetworkMode !== 'bridge') return []
  return linksOf(container.hostConfig).map(({ name, alias }) => {
    const child = found(engine, name)
    if (child === undefined) throw new EngineError('invalid', `could not get container for ${name}`)
    if (child.run.pid === 0)
      throw new EngineError(
        'internal',
        `Cannot link to a non running container: /${child.name} AS /${container.name}/${alias}`,
      )
    const address = addressOf(child)
    if (address === '')
      throw new EngineError('invalid', `Cannot link to /${child.name}, as it does not belong to the default network`)
    return { alias, child, address }
  })
}

/** Those of them that run now, which is what an exec sees: the container itself was started long ago. */
export function runningLinks(engine: Engine, container: Container): LinkedContainer[] {
  if (container.hostConfig.NetworkMode !== 'bridge') return []
  return linksOf(container.hostConfig).flatMap(({ name, alias }) => {
    const child = found(engine, name)
    const address = child === undefined ? '' : addressOf(child)
    return child === undefined || address === '' ? [] : [{ alias, child, address }]
  })
}

const addressOf = (child: Container): string =>
  child.endpoints.find(({ networkName }) => networkName === 'bridge')?.ipAddress ?? ''

export type HostLine = { address: string; names: string[] }

/** Lines of /etc/hosts; a container that is not there (any more) has none. */
export function linkHosts(engine: Engine, container: Container): HostLine[] {
  return runningLinks(engine, container).map(({ alias, child, address }) => {
    const names = [alias, child.config.Hostname || child.id.slice(0, 12), child.name]
    return { address, names: [...new Set(names)] }
  })
}

/** Containers that have a link to this one. */
export const linkedFrom = (engine: Engine, child: Container): Container[] =>
  engine.table
    .list()
    .filter(({ hostConfig }) => linksOf(hostConfig).some(({ name }) => name === child.name && name !== ''))

/** Links follow the container that they lead to. */
export const renamedLinks = (links: readonly string[], from: string, to: string): string[] =>
  links.map((text) => {
    const { name, alias } = parseLink(text)
    return name === from ? `${to}:${alias}` : text
  })

/** `DB_PORT_5432_TCP_ADDR=172.17.0.2` and its like, as Docker gives them since before networks had names. */
export function linkVariables(container: Container, linked: readonly LinkedContainer[]): string[] {
  return linked.flatMap(({ alias, child, address }) => {
    const prefix = alias.toUpperCase().replaceAll('-', '_')
    const ports = Object.keys(child.config.ExposedPorts ?? {})
      .map((key) => key.split('/') as [string, string?])
      .map(([number, protocol = 'tcp']) => ({ number, protocol }))
      .sort((one, other) => Number(one.number) - Number(other.number))
    const own = (child.config.Env ?? []).filter((variable) => !/^(HOME|PATH)=/.test(variable))
    return [
      `${prefix}_NAME=/${container.name}/${alias}`,
      ...ports.slice(0, 1).map(({ number, protocol }) => `${prefix}_PORT=${protocol}://${address}:${number}`),
      ...ports.flatMap(({ number, protocol }) => {
        const name = `${prefix}_PORT_${number}_${protocol.toUpperCase()}`
        return [
          `${name}=${protocol}://${address}:${number}`,
          `${name}_ADDR=${address}`,
          `${name}_PORT=${number}`,
          `${name}_PROTO=${protocol}`,
        ]
      }),
      ...own.map((variable) => `${prefix}_ENV_${variable}`),
    ]
  })
}
