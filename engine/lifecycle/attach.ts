/** A client's streams to a container's first process; wire facts 20–27. */
import type { Duplex } from 'node:stream'
import { EngineError, messageOf } from '../base/errors.ts'
import type { AttachStreams, Shim } from '../shim/shim.ts'
import type { Container } from './container.ts'
import type { AttachOptions, LogOptions } from './containers.ts'
import { defaultDetachKeys, detachable } from './detach-keys.ts'
import { announce, type Engine, type PendingAttachment } from './engine.ts'
import { LateStream } from './late-stream.ts'
import { presentEnd } from './log-files.ts'
import { readLogs } from './logs.ts'
import { hasProcess } from './state-table.ts'

/** Legal before the start: output is then delivered from its first byte. */
export async function attach(engine: Engine, reference: string, options: AttachOptions): Promise<Duplex> {
  const container = engine.table.get(reference)
  const { state } = container.run
  if (state === 'paused')
    throw new EngineError('conflict', `container ${container.name} is paused, unpause the container before attach`)
  if (state === 'restarting')
    throw new EngineError('conflict', `container ${container.name} is restarting, wait until the container is running`)
  const stream = new LateStream()
  // Asked for before the log is read, up to where the stream begins: nothing is lost in between, and nothing comes twice.
  const end = options.stream ? await follow(engine, container, stream, options) : undefined
  if (options.logs) replay(engine, container, stream, options, end)
  else stream.flow()
  if (!options.stream) stream.abandon()
  announce(engine, container, 'attach')
  return options.stdin && container.config.Tty === true && options.stream
    ? detachable(stream, options.detachKeys ?? defaultDetachKeys, () => announce(engine, container, 'detach'))
    : stream
}

/** Answers where the log ends that the stream goes on from; undefined: where it ends when it is read. */
async function follow(
  engine: Engine,
  container: Container,
  stream: LateStream,
  options: AttachOptions,
): Promise<LogOptions['end']> {
  const { id } = container
  const shim = engine.shims.get(id)
  if (shim !== undefined) {
    const streams = streamsOf(container, options)
    const { stream: live, log } = options.logs
      ? await shim.attachAfterLog(streams)
      : { stream: await shim.attach(streams), log: undefined }
    stream.connect(live)
    return log
  }
  if (hasProcess(container.run.state)) {
    stream.abandon()
    return undefined
  }
  const waiting: PendingAttachment = { stream, options }
  const set = engine.attachments.get(id) ?? new Set()
  engine.attachments.set(id, set.add(waiting))
  stream.once('close', () => {
    set.delete(waiting)
    if (set.size === 0 && engine.attachments.get(id) === set) engine.attachments.delete(id)
  })
  return presentEnd(container.logPath)
}

/** Where the container's stdin is closed, a client's input is ignored; wire fact 23. */
const streamsOf = (container: Container, options: AttachOptions): AttachStreams => ({
  stdin: options.stdin && container.config.OpenStdin === true,
  stdout: options.stdout,
  stderr: options.stderr,
})

/** As fast as the client reads: a log is longer than the memory. */
function replay(
  engine: Engine,
  container: Container,
  stream: LateStream,
  { stdout, stderr }: AttachOptions,
  end: LogOptions['end'],
): void {
  const what = { stdout, stderr, follow: false, timestamps: false, details: false }
  const log = readLogs(engine, container.id, end === undefined ? what : { ...what, end })
  void stream.lead(log as AsyncIterable<Buffer>).catch((error: Error) => stream.destroy(error))
}

/** The supervisor exists and the process has not run yet. */
export async function connectPending(engine: Engine, id: string, shim: Shim): Promise<void> {
  const waiting = [...(engine.attachments.get(id) ?? [])]
  engine.attachments.delete(id)
  const container = engine.table.byId(id)
  await Promise.all(
    waiting.map(async ({ stream, options }) => {
      try {
        stream.connect(await shim.attach(streamsOf(container, options)))
      } catch (error) {
        // Its client went away meanwhile, or the supervisor did: then the start fails by itself.
        stream.destroy(new Error(`attaching to ${id}: ${messageOf(error)}`))
      }
    }),
  )
}

/** There will be no start: those who wait see the end of the output. */
export function dropPending(engine: Engine, id: string): void {
  for (const { stream } of engine.attachments.get(id) ?? []) stream.abandon()
  engine.attachments.delete(id)
}
