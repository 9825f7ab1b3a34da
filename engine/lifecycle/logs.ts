/** Reading a container's log back, and following it; wire facts 93–99. */
import { closeSync, fstatSync, read as readFile, watch } from 'node:fs'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { EngineError } from '../base/errors.ts'
import { longestTimer, timestamp } from '../base/time.ts'
import type { Container } from './container.ts'
import type { LogOptions } from './containers.ts'
import type { Engine } from './engine.ts'
import { logDriver, logLimits } from './log-config.ts'
import { LogDecoder, normalTime } from './log-decoder.ts'
import { closeFiles, isRotated, type LogFile, nextLogFile, openLogFiles, tailOffset } from './log-files.ts'

const chunkSize = 256 * 1024
const readAt = promisify(readFile)

/** Ends when the log is read, or with `follow` when the container has stopped and all it wrote is read. */
export function readLogs(engine: Engine, reference: string, options: LogOptions): Readable {
  const container = engine.table.get(reference)
  if (!options.stdout && !options.stderr)
    throw new EngineError('invalid', 'Bad parameters: you must choose at least one stream')
  if (container.run.state === 'dead' || engine.removing.has(container.id))
    throw new EngineError('conflict', 'can not get logs from container which is dead or marked for removal')
  if (logDriver(container.hostConfig.LogConfig) === 'none')
    throw new EngineError('not-implemented', 'configured logging driver does not support reading')
  return new LogStream(new LogReading(engine, container, options))
}

/** Pulls from the reading. Readable.from would wait for the next write before it lets a reader go. */
class LogStream extends Readable {
  readonly #reading: LogReading
  readonly #chunks: AsyncGenerator<Buffer>

  constructor(reading: LogReading) {
    super({ highWaterMark: chunkSize })
    this.#reading = reading
    this.#chunks = reading.chunks()
  }

  override _read(): void {
    this.#chunks.next().then(
      ({ done, value }) => this.push(done === true ? null : value),
      (error: Error) => this.destroy(error),
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#reading.cancel()
    this.#chunks.return(undefined).then(
      () => done(error),
      (failure: Error) => done(error ?? failure),
    )
  }
}

const moment = (seconds: number | undefined): string | undefined =>
  seconds === undefined || seconds === 0 ? undefined : normalTime(timestamp(seconds * 1000))

/** The files before an end and the one it is in; none where that has been rotated out of existence. */
function upTo(end: LogOptions['end'], files: readonly LogFile[]): readonly LogFile[] {
  if (end === undefined) return files
  return end === 'nothing' ? [] : files.slice(0, files.findIndex(({ inode }) => inode === end.inode) + 1)
}

class LogReading {
  readonly #path: string
  readonly #maxFile: number
  readonly #options: LogOptions
  readonly #decoder: LogDecoder
  /** Settles when no more output can come; undefined: it has stopped already. */
  readonly #exit: Promise<unknown> | undefined
  #end: LogOptions['end']
  #rest: Buffer = Buffer.alloc(0)
  #changes: Changes | undefined

  constructor(engine: Engine, container: Container, options: LogOptions) {
    const since = moment(options.since)
    const until = moment(options.until)
    this.#path = container.logPath
    this.#maxFile = logLimits(container.hostConfig.LogConfig).maxFile
    this.#options = options
    this.#end = options.end
    this.#exit = options.follow ? engine.shims.get(container.id)?.exited : undefined
    this.#decoder = new LogDecoder({
      stdout: options.stdout,
      stderr: options.stderr,
      timestamps: options.timestamps,
      details: options.details,
      framed: container.config.Tty !== true,
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    })
  }

  cancel(): void {
    this.#changes?.end()
  }

  async *chunks(): AsyncGenerator<Buffer> {
    await using open = new AsyncDisposableStack()
    // Watched before the first look, so that no write falls in between.
    const changes = this.#exit === undefined ? undefined : open.use(new Changes(dirname(this.#path), this.#exit))
    this.#changes = changes
    if (changes !== undefined && this.#options.until) changes.endAt(this.#options.until * 1000)
    const files = openLogFiles(this.#path, this.#maxFile)
    open.defer(() => closeFiles(files))
    let last: { file: LogFile; offset: number } | undefined
    // Whoever writes faster than this is read would have it go on for ever.
    const newest = files.at(-1)
    if (!this.#options.follow && newest !== undefined)
      this.#end ??= { inode: newest.inode, offset: fstatSync(newest.fd).size }
    const from = this.#start(files)
    for (const [index, file] of upTo(this.#end, files).entries()) {
      if (index < from.index) continue
      last = { file, offset: index === from.index ? from.offset : 0 }
      yield* this.#drain(last)
    }
    if (changes !== undefined) yield* this.#follow(last, changes, open)
  }

  #start(files: readonly LogFile[]): { index: number; offset: number } {
    let wanted = this.#options.tail
    if (wanted === undefined) return { index: 0, offset: 0 }
    if (wanted === 0) {
      const last = files.at(-1)
      return { index: Math.max(0, files.length - 1), offset: last === undefined ? 0 : fstatSync(last.fd).size }
    }
    for (let index = files.length - 1; index >= 0; index -= 1) {
      const file = files[index] as LogFile
      const { offset, lines } = tailOffset(file, wanted, this.#endIn(file))
      wanted -= lines
      if (wanted <= 0) return { index, offset }
    }
    return { index: 0, offset: 0 }
  }

  #endIn({ inode }: LogFile): number {
    const end = this.#end
    return typeof end === 'object' && end.inode === inode ? end.offset : Number.POSITIVE_INFINITY
  }

  /** Everything up to the present end; `at.offset` moves on. An unfinished line waits for its end. */
  async *#drain(at: { file: LogFile; offset: number }): AsyncGenerator<Buffer> {
    while (!this.#decoder.passedUntil) {
      const room = Math.min(chunkSize, this.#endIn(at.file) - at.offset)
      if (room <= 0) return
      const buffer = Buffer.allocUnsafe(room)
      const { bytesRead } = await readAt(at.file.fd, { buffer, position: at.offset })
      if (bytesRead === 0) return
      at.offset += bytesRead
      const read = buffer.subarray(0, bytesRead)
      const data = this.#rest.length === 0 ? read : Buffer.concat([this.#rest, read])
      const end = data.lastIndexOf(10) + 1
      this.#rest = data.subarray(end)
      const decoded = this.#decoder.decode(data.subarray(0, end))
      if (decoded.length > 0) yield decoded
    }
  }

  /**
   * Each turn asks first whether the process has ended and whether the file was rotated away, and reads after: what was
   * true before reading to the end means that the end was the last one.
   */
  async *#follow(
    start: { file: LogFile; offset: number } | undefined,
    changes: Changes,
    open: AsyncDisposableStack,
  ): AsyncGenerator<Buffer> {
    let at = start
    for (;;) {
      const over = changes.over
      const rotated = at !== undefined && isRotated(this.#path, at.file)
      if (at !== undefined) yield* this.#drain(at)
      if (this.#decoder.passedUntil) return
      if (at === undefined || rotated) {
        const next = at === undefined ? openLogFiles(this.#path, 1)[0] : nextLogFile(this.#path, this.#maxFile, at.file)
        if (next !== undefined) {
          open.defer(() => closeSync(next.fd))
          this.#rest = Buffer.alloc(0)
          at = { file: next, offset: 0 }
          continue
        }
      }
      if (over) return
      await changes.next()
    }
  }
}

/** Wakes a follower when something in the log's directory changed, or nothing will change any more. */
class Changes implements Disposable {
  over = false
  #happened = false
  #wake: (() => void) | undefined
  readonly #stop: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(directory: string, exit: Promise<unknown>) {
    const watcher = watch(directory, { persistent: false }, () => this.#notify())
    // The directory went with the container.
    watcher.on('error', () => this.end())
    this.#stop = () => watcher.close()
    void exit.then(
      () => this.end(),
      () => this.end(),
    )
  }

  /** @param time milliseconds since the epoch */
  endAt(time: number): void {
    this.#timer = setTimeout(() => this.end(), Math.min(Math.max(0, time - Date.now()), longestTimer)).unref()
  }

  /** What is written already is the last. */
  end(): void {
    this.over = true
    this.#notify()
  }

  #notify(): void {
    this.#happened = true
    this.#wake?.()
  }

  async next(): Promise<void> {
    if (!this.#happened)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    this.#happened = false
    this.#wake = undefined
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#stop()
  }
}
