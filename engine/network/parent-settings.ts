/** Options of macvlan and ipvlan networks, whose containers stand on a link of the machine beside it; dockerd's names. Pure. */
import { EngineError } from '../base/errors.ts'
import type { IpvlanFlag, IpvlanMode, MacvlanMode } from '../kernel/stacked-links.ts'
import type { Network } from './network.ts'

export type ParentSettings = {
  /** The machine's link, or `LINK.NUMBER` for one of its VLANs. */
  parent: string
  kind: { type: 'macvlan'; mode: MacvlanMode } | { type: 'ipvlan'; mode: IpvlanMode; flag: IpvlanFlag }
}

const macvlanModes: readonly string[] = ['bridge', 'private', 'vepa', 'passthru'] satisfies MacvlanMode[]
const ipvlanModes: readonly string[] = ['l2', 'l3', 'l3s'] satisfies IpvlanMode[]
const ipvlanFlags: readonly string[] = ['bridge', 'private', 'vepa'] satisfies IpvlanFlag[]

const invalid = (sentence: string): EngineError => new EngineError('invalid', sentence)

function choice<T extends string>(network: Pick<Network, 'options'>, name: string, all: readonly string[]): T {
  const text = network.options[name] || all[0]!
  if (!all.includes(text))
    throw invalid(`requested ${name.replace('_', ' ')} '${text}' is not valid, use one of ${all.join(', ')}`)
  return text as T
}

/** Throws invalid at a value that means nothing. */
export function parentSettings(network: Pick<Network, 'driver' | 'options' | 'name'>): ParentSettings {
  const parent = network.options.parent ?? ''
  if (parent === '')
    throw invalid(
      `network ${network.name} needs a link of this machine to stand on: option parent, as in -o parent=eth0`,
    )
  if (!/^[^\s/:]{1,15}$/.test(parent)) throw invalid(`invalid parent interface name ${JSON.stringify(parent)}`)
  if (parent === 'lo') throw invalid('loopback interface is not a valid parent link')
  if (network.driver === 'macvlan')
    return { parent, kind: { type: 'macvlan', mode: choice(network, 'macvlan_mode', macvlanModes) } }
  return {
    parent,
    kind: {
      type: 'ipvlan',
      mode: choice(network, 'ipvlan_mode', ipvlanModes),
      flag: choice(network, 'ipvlan_flag', ipvlanFlags),
    },
  }
}

/** `eth0.10`: VLAN 10 of eth0. */
export function vlanOf(parent: string): { link: string; number: number } | undefined {
  const [, link, digits] = /^(.+)\.(\d{1,4})$/.exec(parent) ?? []
  const number = Number(digits)
  return link === undefined || number < 1 || number > 4094 ? undefined : { link, number }
}

/** Behind such a network nobody answers for others: the interface itself is the way out. */
export const leadsByDevice = (network: Pick<Network, 'driver' | 'options' | 'name'>): boolean => {
  if (network.driver !== 'ipvlan') return false
  const { kind } = parentSettings(network)
  return kind.type === 'ipvlan' && kind.mode !== 'l2'
}
