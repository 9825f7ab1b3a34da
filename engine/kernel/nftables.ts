/** What nft(8) says to the kernel, as messages: linux/netfilter/nf_tables.h. Tables here are of family inet. Pure. */
import {
  attribute,
  attributesIn,
  type NetlinkReply,
  type NetlinkRequest,
  nest,
  netlinkFlags,
  text,
  textOf,
  u32be,
} from './netlink.ts'
import { type Expression, interfaceName, jumpTo, value } from './nftables-expressions.ts'

const { NLM_F_CREATE, NLM_F_APPEND } = netlinkFlags

const NFNL_MSG_BATCH_BEGIN = 16
const NFNL_MSG_BATCH_END = 17
const NFNL_SUBSYS_NFTABLES = 10
const NFPROTO_INET = 1

const messageTypes = {
  NFT_MSG_NEWTABLE: 0,
  NFT_MSG_GETTABLE: 1,
  NFT_MSG_DELTABLE: 2,
  NFT_MSG_NEWCHAIN: 3,
  NFT_MSG_GETCHAIN: 4,
  NFT_MSG_NEWRULE: 6,
  NFT_MSG_NEWSET: 9,
  NFT_MSG_NEWSETELEM: 12,
  NFT_MSG_GETSETELEM: 13,
  NFT_MSG_DELSETELEM: 14,
} as const

const NFTA_LIST_ELEM = 1

/** struct nfgenmsg; the resource is big-endian. */
function header(family: number, resource = 0): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt8(family, 0)
  bytes.writeUInt16BE(resource, 2)
  return bytes
}

const request = (
  type: keyof typeof messageTypes,
  flags: number,
  purpose: string,
  ...attributes: Buffer[]
): NetlinkRequest => ({
  type: (NFNL_SUBSYS_NFTABLES << 8) | messageTypes[type],
  flags,
  purpose,
  body: Buffer.concat([header(NFPROTO_INET), ...attributes]),
})

/** The brackets that make the requests one transaction, for NetlinkSocket.batch. */
export const transaction = (requests: readonly NetlinkRequest[]): NetlinkRequest[] => [
  { type: NFNL_MSG_BATCH_BEGIN, flags: 0, purpose: 'begin', body: header(0, NFNL_SUBSYS_NFTABLES) },
  ...requests,
  { type: NFNL_MSG_BATCH_END, flags: 0, purpose: 'end', body: header(0, NFNL_SUBSYS_NFTABLES) },
]

/** `nft add table inet NAME`: fine when it is there. */
export const addTable = (name: string): NetlinkRequest =>
  request('NFT_MSG_NEWTABLE', NLM_F_CREATE, `add table ${name}`, text(1, name))

/** `nft delete table inet NAME` with all that is in it; ENOENT when it is not there. */
export const deleteTable = (name: string): NetlinkRequest =>
  request('NFT_MSG_DELTABLE', 0, `delete table ${name}`, text(1, name))

/** Throws ENOENT from NetlinkSocket.change when there is no such table. */
export const probeTable = (name: string): NetlinkRequest =>
  request('NFT_MSG_GETTABLE', 0, `look for table ${name}`, text(1, name))

const iptablesFamilies = { ip: 2, ip6: 10 } as const

/** For NetlinkSocket.ask: a chain that iptables(8) or ip6tables(8) has; ENOENT when there is none. */
export const queryIptablesChain = (family: keyof typeof iptablesFamilies, chain: string): NetlinkRequest => ({
  ...request('NFT_MSG_GETCHAIN', 0, `look for chain ${chain} of ${family}tables`),
  body: Buffer.concat([header(iptablesFamilies[family]), text(1, 'filter'), text(3, chain)]),
})

const NF_DROP = 0

/** Whether the chain in the answer drops what none of its rules has decided. */
export function dropsByPolicy(body: Buffer): boolean {
  const policy = attributesIn(body.subarray(4)).get(5)
  return policy !== undefined && policy.readUInt32BE(0) === NF_DROP
}

/** NFT_MSG_DELTABLE, DELCHAIN, DELRULE, DELSET and DELSETELEM. */
const deletions = new Set([2, 5, 8, 11, 14].map((type) => (NFNL_SUBSYS_NFTABLES << 8) | type))

/** The table that something was deleted from, or that is gone itself, in a notification of NFNLGRP_NFTABLES. */
export const deletedFrom = ({ type, body }: NetlinkReply): string | undefined =>
  deletions.has(type) && body[0] === NFPROTO_INET ? textOf(attributesIn(body.subarray(4)).get(1)) : undefined

const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const

export type BaseChain = {
  table: string
  name: string
  type: 'filter' | 'nat'
  hook: keyof typeof hooks
  /** Lower runs earlier: raw -300, destination NAT -100, filter 0, source NAT 100. */
  priority: number
}

/** `nft add chain inet TABLE NAME { type T hook H priority P; policy accept; }` */
export const addChain = (chain: BaseChain): NetlinkRequest =>
  request(
    'NFT_MSG_NEWCHAIN',
    NLM_F_CREATE,
    `add chain ${chain.name}`,
    text(1, chain.table),
    text(3, chain.name),
    nest(4, u32be(1, hooks[chain.hook]), u32be(2, chain.priority)),
    u32be(5, 1),
    text(7, chain.type),
  )

/** `nft add chain inet TABLE NAME`: one that others jump to. */
export const addPlainChain = (table: string, name: string): NetlinkRequest =>
  request('NFT_MSG_NEWCHAIN', NLM_F_CREATE, `add chain ${name}`, text(1, table), text(3, name))

/** `nft add rule inet TABLE CHAIN …` */
export const addRule = (table: string, chain: string, expressions: readonly Expression[]): NetlinkRequest =>
  request(
    'NFT_MSG_NEWRULE',
    NLM_F_CREATE | NLM_F_APPEND,
    `add rule to ${chain}`,
    text(1, table),
    text(2, chain),
    nest(4, ...expressions),
  )

/** What nft(8) calls the fields, so that it can print them: its data type numbers, and bytes as they are in a key. */
const fieldTypes = {
  ipv4_addr: { number: 7, length: 4 },
  ipv6_addr: { number: 8, length: 16 },
  inet_proto: { number: 12, length: 4 },
  inet_service: { number: 13, length: 4 },
  ifname: { number: 41, length: 16 },
} as const

export type Field = keyof typeof fieldTypes

const bitsPerField = 6
const typeOf = (fields: readonly Field[]): number =>
  fields.reduce((type, field) => (type << bitsPerField) | fieldTypes[field].number, 0)
const lengthOf = (fields: readonly Field[]): number =>
  fields.reduce((length, field) => length + fieldTypes[field].length, 0)

/** Values side by side, each padded to registers of 4 bytes. */
export const concatenation = (...values: readonly Buffer[]): Buffer =>
  Buffer.concat(values.map((bytes) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])))

const NFT_SET_MAP = 8
const NFT_SET_CONCAT = 128

/** The kernel wants a concatenated key field by field; newer kernels refuse the flag without it. */
const describeFields = (fields: readonly Field[]): Buffer =>
  nest(9, nest(2, ...fields.map((field) => nest(NFTA_LIST_ELEM, u32be(1, fieldTypes[field].length)))))

type SetHead = { table: string; name: string; key: readonly Field[] }

/** Maps are sets to the kernel. `data` comes behind the key, `notes` at the end. */
const newSet = (
  { table, name, key }: SetHead,
  id: number,
  { what, flags = 0, data = [], notes = [] }: { what: string; flags?: number; data?: Buffer[]; notes?: Buffer[] },
): NetlinkRequest =>
  request(
    'NFT_MSG_NEWSET',
    NLM_F_CREATE,
    `add ${what} ${name}`,
    text(1, table),
    text(2, name),
    u32be(3, flags | (key.length > 1 ? NFT_SET_CONCAT : 0)),
    u32be(4, typeOf(key)),
    u32be(5, lengthOf(key)),
    ...data,
    ...(key.length > 1 ? [describeFields(key)] : []),
    u32be(10, id),
    ...notes,
  )

export type NftMap = SetHead & { data: readonly Field[] }

/** `nft add map inet TABLE NAME { type KEY . KEY : DATA . DATA; }`. `id` is unique in its transaction. */
export const addMap = (map: NftMap, id: number): NetlinkRequest =>
  newSet(map, id, {
    what: 'map',
    flags: NFT_SET_MAP,
    data: [u32be(6, typeOf(map.data)), u32be(7, lengthOf(map.data))],
  })

const NFTNL_UDATA_SET_KEYBYTEORDER = 0
const hostByteOrder = 1

/** A note for nft(8), which would print names of interfaces backwards: the kernel does not read it. */
const printsNames = (key: readonly Field[]): Buffer[] =>
  key.length === 1 && key[0] === 'ifname'
    ? [attribute(13, Buffer.of(NFTNL_UDATA_SET_KEYBYTEORDER, 4, hostByteOrder, 0, 0, 0))]
    : []

export type NftSet = SetHead

/** `nft add set inet TABLE NAME { type KEY . KEY; }`. `id` is unique in its transaction, among maps as well. */
export const addSet = (set: NftSet, id: number): NetlinkRequest =>
  newSet(set, id, { what: 'set', notes: printsNames(set.key) })

const NFT_DATA_VERDICT = 0xffffff00

/** `nft add map inet TABLE NAME { type ifname : verdict; }`: what is done depends on the interface. */
export const addInterfaceVerdicts = (table: string, name: string, id: number): NetlinkRequest =>
  newSet({ table, name, key: ['ifname'] }, id, {
    what: 'map',
    flags: NFT_SET_MAP,
    data: [u32be(6, NFT_DATA_VERDICT)],
    notes: printsNames(['ifname']),
  })

/** `nft add element inet TABLE MAP { "INTERFACE" : jump CHAIN }` */
export const addInterfaceJumps = (
  table: string,
  map: string,
  jumps: readonly { interface: string; chain: string }[],
): NetlinkRequest[] =>
  inMessages(jumps, (some) =>
    request(
      'NFT_MSG_NEWSETELEM',
      NLM_F_CREATE,
      `add elements to ${map}`,
      text(1, table),
      text(2, map),
      elementList(
        some.map(({ interface: name, chain }) => Buffer.concat([value(1, interfaceName(name)), jumpTo(2, chain)])),
      ),
    ),
  )

/** `nft add element inet TABLE SET { KEY }` */
export const addMembers = (table: string, set: string, keys: readonly Buffer[]): NetlinkRequest[] =>
  inMessages(keys, (some) =>
    request(
      'NFT_MSG_NEWSETELEM',
      NLM_F_CREATE,
      `add elements to ${set}`,
      text(1, table),
      text(2, set),
      elementList(some.map((key) => value(1, key))),
    ),
  )

export type MapElement = { key: Buffer; data: Buffer }

const elementList = (elements: readonly Buffer[]): Buffer =>
  nest(3, ...elements.map((element) => nest(NFTA_LIST_ELEM, element)))

/** An attribute ends at 64 KiB, and the largest element is under 100 bytes. */
const elementsPerMessage = 400

function inMessages<T>(elements: readonly T[], build: (some: readonly T[]) => NetlinkRequest): NetlinkRequest[] {
  const requests: NetlinkRequest[] = []
  for (let at = 0; at < elements.length; at += elementsPerMessage)
    requests.push(build(elements.slice(at, at + elementsPerMessage)))
  return requests
}

/** `nft add element inet TABLE MAP { KEY : DATA }` */
export const addElements = (table: string, map: string, elements: readonly MapElement[]): NetlinkRequest[] =>
  inMessages(elements, (some) =>
    request(
      'NFT_MSG_NEWSETELEM',
      NLM_F_CREATE,
      `add elements to ${map}`,
      text(1, table),
      text(2, map),
      elementList(some.map(({ key, data }) => Buffer.concat([value(1, key), value(2, data)]))),
    ),
  )

/** `nft delete element inet TABLE MAP { KEY }`; ENOENT when one of them is not there. */
export const deleteElements = (table: string, map: string, keys: readonly Buffer[]): NetlinkRequest[] =>
  inMessages(keys, (some) =>
    request(
      'NFT_MSG_DELSETELEM',
      0,
      `delete elements of ${map}`,
      text(1, table),
      text(2, map),
      elementList(some.map((key) => value(1, key))),
    ),
  )

/** For NetlinkSocket.dump. */
export const listElements = (table: string, map: string): NetlinkRequest =>
  request('NFT_MSG_GETSETELEM', 0, `list elements of ${map}`, text(1, table), text(2, map))
