/** Container networks as the lifecycle sees them. */
import type { ResolverConfig } from '../resolver/resolver-config.ts'

export type NetworkDriver = 'bridge' | 'macvlan' | 'ipvlan' | 'host' | 'null'

export type IpamConfig = {
  Subnet?: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses?: Record<string, string>
}

export type Network = {
  /** 64 hex. */
  id: string
  name: string
  driver: NetworkDriver
  created: string
  internal: boolean
  attachable: boolean
  enableIPv4: boolean
  enableIPv6: boolean
  ipam: { Driver: string; Options: Record<string, string>; Config: IpamConfig[] }
  options: Record<string, string>
  labels: Record<string, string>
  /** Nobody is ever on it: it is there to be the configuration of others. */
  configOnly?: boolean
  /** The name of the network whose configuration it has. */
  configFrom?: string
}

export type PortBinding = { HostIp: string; HostPort: string }
/** `"80/tcp"` → where it is published; null: exposed only. */
export type PortMap = Record<string, PortBinding[] | null>

/** What a container wants published, whichever network turns out to be its way out. */
export type PortRequest = {
  ports?: PortMap
  exposedPorts?: readonly string[]
  publishAllPorts?: boolean
}

export type EndpointRequest = {
  networkId: string
  containerId: string
  containerName: string
  /** A path or /proc/PID/ns/net of the container's network namespace. */
  netnsPath: string
  ipv4Address?: string
  ipv6Address?: string
  macAddress?: string
  aliases?: string[]
  /** What others on the network call it, the name that its address leads back to first. */
  dnsNames?: string[]
  /** Its own names for others: alias → name on the network. */
  links?: Record<string, string>
  /** The endpoint with the highest has the container's default route. */
  gwPriority?: number
  /** Addresses beside those of the network: 169.254.0.0/16, fe80::/64. */
  linkLocalAddresses?: string[]
  /** In dockerd's names: the interface's name, its kernel settings. */
  driverOptions?: Record<string, string>
} & PortRequest

export type Endpoint = {
  networkId: string
  networkName: string
  endpointId: string
  interfaceName: string
  macAddress: string
  ipAddress: string
  prefixLength: number
  gateway: string
  ipv6Address: string
  ipv6PrefixLength: number
  ipv6Gateway: string
  aliases: string[]
  dnsNames: string[]
  links: Record<string, string>
  gwPriority: number
  portRequest: PortRequest
  /** As bound: wire fact 152. */
  ports: PortMap
}

export type InterfaceCounters = Record<
  string,
  {
    rx_bytes: number
    rx_packets: number
    rx_errors: number
    rx_dropped: number
    tx_bytes: number
    tx_packets: number
    tx_errors: number
    tx_dropped: number
  }
>

export type CreateNetwork = {
  name: string
  driver?: string
  internal?: boolean
  attachable?: boolean
  enableIPv4?: boolean
  enableIPv6?: boolean
  ipam?: { Driver?: string; Options?: Record<string, string>; Config?: IpamConfig[] }
  options?: Record<string, string>
  labels?: Record<string, string>
  configOnly?: boolean
  configFrom?: string
}

export type Networks = {
  /** By id, name or id prefix; wire fact 64. */
  get(reference: string): Network
  list(): Network[]
  create(request: CreateNetwork): Promise<Network>
  /** What the client should be told of a network that was made as it asked; '' as a rule. */
  warning(request: CreateNetwork): string
  /** forbidden for the predefined ones and for one with endpoints. */
  remove(reference: string): Promise<void>
  endpoints(networkId: string): Endpoint[]
  /** The containers on a network; of host and none only the containers themselves know it. */
  members(networkId: string): { containerId: string; containerName: string; endpoint: Endpoint }[]
  /** A new, empty network namespace with `lo` up, or the new one of a process; kept by a bind mount under the exec root. */
  createNamespace(containerId: string, pid?: number): Promise<string>
  removeNamespace(containerId: string): Promise<void>
  /** Address, link, routes, ports; all or nothing. The error names the port that is taken (wire fact 152). */
  attach(request: EndpointRequest): Promise<Endpoint>
  /** A container's, in the order in which they were connected. Ports move with its way out. */
  endpointsOf(containerId: string): Endpoint[]
  /** Gives back address, link and ports; missing is fine. Works when the namespace is gone. */
  detach(containerId: string, networkId?: string): Promise<void>
  /** A container of another name: live for whoever asks. */
  rename(containerId: string, containerName: string, dnsNames: (endpoint: Endpoint) => string[]): Endpoint[]
  /** /etc/hosts, /etc/hostname and /etc/resolv.conf for a container's endpoints, and what its resolver works by. */
  files(request: NameFiles): { hosts: string; hostname: string; resolvConf: string; resolver?: ResolverConfig }
  /** What on this machine keeps containers from being reached or from reaching others, in whole sentences. */
  obstacles(): string[]
  counters(netnsPath: string): InterfaceCounters
  /** A TCP connection to 127.0.0.1:port as seen inside the namespace. */
  dial(netnsPath: string, port: number): Promise<import('node:net').Socket>
  /**
   * Makes kernel state match the database after a restart: bridges and rules again, leftovers of dead containers gone.
   * Answers what could not be made, in whole sentences.
   */
  recover(live: ReadonlySet<string>): Promise<string[]>
}

export type NameFiles = {
  hostname: string
  domainname: string
  endpoints: Endpoint[]
  /** Lines of /etc/hosts for containers that it has links to. */
  links: { address: string; names: string[] }[]
  extraHosts: string[]
  dns: string[]
  dnsSearch: string[]
  dnsOptions: string[]
  /** Host network: the host's own files, with the extra hosts. */
  hostNetwork: boolean
}
