/** The name server of a container, asked from inside its network namespace by sockets. */
import assert from 'node:assert/strict'
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { PollSet } from '../../engine/kernel/descriptors.ffi.ts'
import { unshare } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { beginConnection, bindSocket } from '../../engine/kernel/network-socket.ffi.ts'
import { setLinkUp } from '../../engine/kernel/route-messages.ts'
import { encodeName, recordTypes, responseCodes } from '../../engine/resolver/dns-message.ts'
import { NameServer } from '../../engine/resolver/name-server.ts'
import type { PollLoop } from '../../engine/resolver/poll-loop.ts'
import type { ResolverConfig } from '../../engine/resolver/resolver-config.ts'
import { noPacketFilter } from './packet-filter.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const resolver = Buffer.of(127, 0, 0, 11)

/** A loop of poll(2) beside Node's own. */
class TestLoop implements PollLoop, Disposable {
  readonly #watchers = new Map<number, Parameters<PollLoop['watch']>[1]>()
  readonly #poll = new PollSet()
  readonly #timer = setInterval(() => this.#turn(), 1)

  watch(fd: number, watcher: Parameters<PollLoop['watch']>[1]): void {
    this.#watchers.set(fd, watcher)
  }

  forget(fd: number): void {
    this.#watchers.delete(fd)
  }

  after(delay: number, run: () => void): void {
    setTimeout(run, delay).unref()
  }

  get watched(): number {
    return this.#watchers.size
  }

  #turn(): void {
    this.#poll.clear()
    const slots = [...this.#watchers].flatMap(([fd, watcher]) => {
      const wants = watcher.wants()
      return wants === undefined ? [] : [{ fd, watcher, slot: this.#poll.add(fd, wants) }]
    })
    if (this.#poll.wait(0) === 0) return
    for (const { fd, watcher, slot } of slots) {
      const events = this.#poll.events(slot)
      if (events !== 0 && this.#watchers.get(fd) === watcher) watcher.ready(events)
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

let directory: string
let loop: TestLoop
let server: NameServer
let cleanup: DisposableStack

/** The test's own namespace is container and machine in one: what is asked outside stays on loopback. */
const netns = '/proc/thread-self/ns/net'

function configure(change: Partial<ResolverConfig> = {}): void {
  const config: ResolverConfig = {
    networks: [{ names: join(directory, 'sea'), links: {} }],
    patience: 200,
    keepSingleLabels: false,
    ...change,
  }
  replace('resolver.json', config)
}

function replace(name: string, document: object): void {
  writeFileSync(join(directory, `${name}.new`), JSON.stringify(document))
  renameSync(join(directory, `${name}.new`), join(directory, name))
}

beforeEach(() => {
  if (skip !== false) return
  unshare(['network'])
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(setLinkUp('lo', true))
  directory = mkdtempSync(join(tmpdir(), 'names-'))
  configure()
  replace('sea', { network: 'sea', entries: [{ names: ['db'], ipv4: '10.1.2.3', ipv6: '' }] })
  cleanup = new DisposableStack()
  cleanup.defer(() => rmSync(directory, { recursive: true }))
  loop = cleanup.use(new TestLoop())
  server = new NameServer(loop, directory, netns)
})

afterEach(() => {
  if (skip !== false) return
  server[Symbol.dispose]()
  assert.equal(loop.watched, 0, 'nothing is left in the loop')
  cleanup.dispose()
})

function question(name: string, type: number = recordTypes.A, id = 0x4711): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(0x0100, 2)
  header.writeUInt16BE(1, 4)
  return Buffer.concat([header, encodeName(name)!, Buffer.of(0, type, 0, 1)])
}

const codeOf = (answer: Buffer): number => answer.readUInt16BE(2) & 15
const count = (answer: Buffer): number => answer.readUInt16BE(6)

async function client(): Promise<DatagramSocket> {
  const socket = createSocket('udp4')
  cleanup.defer(() => socket.close())
  socket.connect(53, '127.0.0.11')
  await once(socket, 'connect')
  return socket
}

async function ask(name: string, type?: number): Promise<Buffer> {
  const socket = await client()
  socket.send(question(name, type))
  const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer]
  assert.equal(answer.readUInt16BE(0), 0x4711)
  return answer
}

/** As a client does when datagrams are lost. */
async function askUntilHeard(name: string): Promise<Buffer> {
  const socket = await client()
  const again = setInterval(() => socket.send(question(name)), 50)
  try {
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer]
    return answer
  } finally {
    clearInterval(again)
  }
}

function connection(): Socket {
  const socket = new Socket({ fd: beginConnection(resolver, 53, 'names'), readable: true, writable: true })
  cleanup.defer(() => socket.destroy())
  return socket
}

const framed = (message: Buffer): Buffer =>
  Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message])

/** Answers over one connection, as they come. */
async function askOverStream(socket: Socket, ...names: string[]): Promise<Buffer[]> {
  socket.write(Buffer.concat(names.map((name, index) => framed(question(name, recordTypes.A, index)))))
  const answers: Buffer[] = []
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket.setTimeout(5000, () => socket.destroy(new Error('timeout')))) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    while (bytes.length > 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      answers.push(bytes.subarray(2, 2 + bytes.readUInt16BE(0)))
      bytes = bytes.subarray(2 + bytes.readUInt16BE(0))
    }
    if (answers.length === names.length) break
  }
  return answers
}

/** A server upstream, that answers every question with this code and its own mark in the header's count of authorities. */
function upstream(address: string, code: number, { silent = false } = {}): { asked: number } {
  const seen = { asked: 0 }
  const answerTo = (message: Buffer): Buffer => {
    seen.asked += 1
    const answer = Buffer.from(message)
    answer.writeUInt16BE(0x8180 | code, 2)
    return answer
  }
  const { fd } = bindSocket('udp', Buffer.from(address.split('.').map(Number)), 53, address)
  const datagrams = createSocket('udp4')
  datagrams.on('message', (message, { port, address: from }) => {
    const answer = answerTo(message)
    if (silent) return
    // Forged ones first: another identifier, another question. They are not to count.
    const forged = Buffer.from(answer)
    forged.writeUInt16BE((answer.readUInt16BE(0) + 1) & 0xffff, 0)
    datagrams.send(forged, port, from)
    datagrams.send(Buffer.concat([answer.subarray(0, 12), encodeName('other')!, Buffer.of(0, 1, 0, 1)]), port, from)
    datagrams.send(answer, port, from)
  })
  datagrams.bind({ fd })
  cleanup.defer(() => datagrams.close())
  const stream = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data: Buffer) => {
      const answer = framed(answerTo(data.subarray(2)))
      // In pieces: an answer may come in any.
      socket.write(answer.subarray(0, 1))
      setTimeout(() => socket.write(answer.subarray(1)), 5)
    })
  })
  stream.listen({ fd: bindSocket('tcp', Buffer.from(address.split('.').map(Number)), 53, address).fd })
  cleanup.defer(() => stream.close())
  return seen
}

const via = (servers: string[]): Pick<ResolverConfig, 'upstream'> => ({
  upstream: { servers, machineFile: '/etc/resolv.conf', versions: [4] },
})

test('names over datagrams and streams', { skip }, async () => {
  const answer = await ask('db')
  assert.deepEqual([codeOf(answer), count(answer)], [0, 1])
  assert.deepEqual([...answer.subarray(-4)], [10, 1, 2, 3])
  const [first, second] = await askOverStream(connection(), 'db', 'db.sea')
  assert.deepEqual(
    [first, second].map((one) => [...one!.subarray(-4)]),
    [
      [10, 1, 2, 3],
      [10, 1, 2, 3],
    ],
  )
})

test('port 53 is free for others', { skip: noPacketFilter }, () => {
  for (const protocol of ['udp', 'tcp'] as const)
    closeSync(bindSocket(protocol, Buffer.of(0, 0, 0, 0), 53, 'a name server of the container').fd)
})

test('a file that is replaced counts from the next question on', { skip }, async () => {
  replace('sea', { network: 'sea', entries: [{ names: ['db'], ipv4: '10.1.2.99', ipv6: 'fd00::9' }] })
  assert.deepEqual([...(await ask('db')).subarray(-4)], [10, 1, 2, 99])
  assert.equal(count(await ask('db', recordTypes.AAAA)), 1)
  rmSync(join(directory, 'sea'))
  assert.equal(codeOf(await ask('db')), responseCodes.SERVFAIL)
})

test('other names are asked for upstream, in order, and forged answers pass by', { skip }, async () => {
  const dumb = upstream('127.0.0.60', 0, { silent: true })
  const broken = upstream('127.0.0.61', responseCodes.SERVFAIL)
  const knows = upstream('127.0.0.62', responseCodes.NXDOMAIN)
  const fourth = upstream('127.0.0.63', 0)
  // Nobody listens on the last but one: it refuses at once.
  configure(via(['127.0.0.62']))
  assert.equal(codeOf(await ask('example.org')), responseCodes.NXDOMAIN)
  configure(via(['127.0.0.60', '127.0.0.61', '127.0.0.62', '127.0.0.63']))
  assert.equal(codeOf(await ask('example.org')), responseCodes.NXDOMAIN)
  assert.deepEqual([dumb.asked, broken.asked, knows.asked, fourth.asked], [1, 1, 2, 0])
  configure(via(['127.0.0.70', '127.0.0.62']))
  assert.equal(codeOf(await ask('example.org')), responseCodes.NXDOMAIN)
  const answers = await askOverStream(connection(), 'example.org', 'db', 'example.com')
  assert.deepEqual(answers.map((one) => [one.readUInt16BE(0), codeOf(one)]).sort(), [
    [0, responseCodes.NXDOMAIN],
    [1, 0],
    [2, responseCodes.NXDOMAIN],
  ])
  assert.equal(knows.asked, 5)
  await ask('db', 15)
  assert.equal(knows.asked, 5, 'what the networks know stays with them')
  configure(via(['127.0.0.61']))
  assert.equal(codeOf(await ask('example.org')), responseCodes.SERVFAIL)
})

test('nobody is asked where nothing leads out, nor for a single label that the client completes', {
  skip,
}, async () => {
  const outside = upstream('127.0.0.62', 0)
  assert.equal(codeOf(await ask('example.org')), responseCodes.SERVFAIL)
  configure({ ...via(['127.0.0.62']), keepSingleLabels: true })
  const kept = await ask('single')
  assert.deepEqual([codeOf(kept), count(kept), outside.asked], [0, 0, 0])
  await ask('two.labels')
  assert.equal(outside.asked, 1)
})

test("the machine's own file is read again when it changes", { skip }, async () => {
  const first = upstream('127.0.0.61', 0)
  const second = upstream('127.0.0.62', 0)
  const machineFile = join(directory, 'resolv.conf')
  writeFileSync(machineFile, 'nameserver 127.0.0.61\n')
  configure({ upstream: { machineFile, versions: [4] } })
  await ask('example.org')
  writeFileSync(machineFile, '# moved to another network\nnameserver 127.0.0.62\n')
  await ask('example.org')
  assert.deepEqual([first.asked, second.asked], [1, 1])
})

test('garbage, floods and clients that only connect do not keep it from answering', { skip }, async () => {
  upstream('127.0.0.60', 0, { silent: true })
  configure({ ...via(['127.0.0.60']), patience: 400 })
  const noise = await client()
  noise.on('error', () => undefined)
  for (let index = 0; index < 500; index += 1) {
    noise.send(Buffer.alloc(index % 40, index))
    noise.send(Buffer.from('12340100000100000000000 0c00c00010001'.replace(' ', ''), 'hex'))
  }
  assert.deepEqual([...(await askUntilHeard('db')).subarray(-4)], [10, 1, 2, 3])
  // More questions on their way than are allowed: the rest fails at once. Slowly, or the kernel drops some of them.
  const many = await client()
  const codes: number[] = []
  many.on('message', (answer: Buffer) => codes.push(codeOf(answer)))
  for (let index = 0; index < 300; index += 1) {
    many.send(question(`n${index}.example`, recordTypes.A, index))
    if (index % 30 === 0) await wait(5)
  }
  const idle = Array.from({ length: 20 }, connection)
  const broken = connection()
  broken.on('error', () => undefined)
  broken.write(framed(Buffer.from('nonsense')))
  assert.deepEqual([...(await ask('db')).subarray(-4)], [10, 1, 2, 3])
  assert.equal((await askOverStream(connection(), 'db')).length, 1)
  for (const socket of idle) socket.destroy()
  while (codes.length < 300) await once(many, 'message', { signal: AbortSignal.timeout(5000) })
  assert.ok(codes.every((code) => code === responseCodes.SERVFAIL))
})

test('a second server in the same namespace takes over', { skip }, async () => {
  server[Symbol.dispose]()
  server = new NameServer(loop, directory, netns)
  assert.equal(codeOf(await ask('db')), 0)
})
