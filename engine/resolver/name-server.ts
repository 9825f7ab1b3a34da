/**
 * The name server of one container, on 127.0.0.11 in its network namespace; wire fact 147. It lives in the container's
 * shim: whoever floods it holds up nobody else, and it goes on without the daemon.
 */
import { join } from 'node:path'
import { parseAddress } from '../base/address.ts'
import { close, pollEvents } from '../kernel/descriptors.ffi.ts'
import { receiveDatagram, sendDatagram } from '../kernel/network-socket.ffi.ts'
import {
  type DnsQuery,
  encodeAnswer,
  encodeRefusal,
  parseQuery,
  recordTypes,
  responseCodes,
  type Transport,
} from './dns-message.ts'
import { Forwarder } from './forwarder.ts'
import { listenInNamespace } from './listen.ts'
import { localAnswer } from './names.ts'
import type { PollLoop } from './poll-loop.ts'
import { ResolverFiles, resolverConfigName } from './resolver-config.ts'
import { StreamClients } from './stream-clients.ts'

/** Datagrams answered before the loop's other descriptors get their turn. */
const mostAtOnce = 32
/** Servers asked for one question, as the C library's own resolver has it; resolv.conf(5). */
const mostServers = 3

const received = Buffer.alloc(65535)

export class NameServer implements Disposable {
  readonly #files: ResolverFiles
  readonly #loop: PollLoop
  readonly #forwarder: Forwarder
  readonly #streams: StreamClients
  readonly #udp: number
  #turn = 0
  #closed = false

  /** @param directory where resolver.json is */
  constructor(loop: PollLoop, directory: string, netnsPath: string) {
    const { udp, tcp } = listenInNamespace(netnsPath)
    this.#loop = loop
    this.#udp = udp
    this.#files = new ResolverFiles(join(directory, resolverConfigName))
    this.#forwarder = new Forwarder(loop, netnsPath)
    this.#streams = new StreamClients(loop, tcp, (message, reply) => this.#take(message, 'stream', reply))
    loop.watch(udp, { wants: () => pollEvents.POLLIN, ready: () => this.#receive() })
  }

  #receive(): void {
    for (let count = 0; count < mostAtOnce; count += 1) {
      const datagram = receiveDatagram(this.#udp, received)
      if (datagram === undefined) return
      const { length, from } = datagram
      this.#take(Buffer.from(received.subarray(0, length)), 'datagram', (answer) => {
        if (!this.#closed) sendDatagram(this.#udp, answer, from)
      })
    }
  }

  #take(message: Buffer, transport: Transport, reply: (answer: Buffer) => void): void {
    const parsed = parseQuery(message)
    if (parsed.kind === 'noise') return
    if (parsed.kind === 'refused') {
      reply(encodeRefusal(parsed))
      return
    }
    const { query } = parsed
    const failed = (): Buffer => encodeAnswer(query, { code: responseCodes.SERVFAIL, records: [] }, transport)
    try {
      this.#turn += 1
      const answer = localAnswer(query, this.#files.networks(), this.#turn) ?? this.#withheld(query)
      if (answer !== undefined) reply(encodeAnswer(query, answer, transport))
      else this.#forward(query, message, transport, (found) => reply(found ?? failed()))
    } catch {
      // Files that cannot be read or are not ours: this question fails, the container goes on.
      reply(failed())
    }
  }

  /** What is not asked outside although the networks do not know it. */
  #withheld(query: DnsQuery) {
    const isAddress = query.type === recordTypes.A || query.type === recordTypes.AAAA
    const single = query.name !== undefined && query.name !== '' && !query.name.includes('.')
    if (!this.#files.config.keepSingleLabels || !isAddress || !single) return undefined
    return { code: responseCodes.NOERROR, records: [] }
  }

  #forward(
    { question }: DnsQuery,
    message: Buffer,
    transport: Transport,
    reply: (answer: Buffer | undefined) => void,
  ): void {
    const { upstream, patience } = this.#files.config
    const versions = upstream?.versions ?? []
    const servers = this.#files.servers().slice(0, mostServers)
    this.#forwarder.forward({ message, question, transport, servers, patience, reply, fromInside: insider(versions) })
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#forwarder[Symbol.dispose]()
    this.#streams[Symbol.dispose]()
    this.#loop.forget(this.#udp)
    close(this.#udp)
  }
}

/** A server on the machine's own loopback is reached from there alone, and so is one of a version without a way out. */
const insider =
  (versions: readonly (4 | 6)[]) =>
  (server: string): boolean => {
    const address = parseAddress(server)
    if (address === undefined) return false
    const loopback = address.version === 4 ? address.value >> 24n === 127n : address.value === 1n
    return !loopback && versions.includes(address.version)
  }
