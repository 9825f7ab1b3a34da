/**
 * What the command line tells its caller: lines on standard error or in the file of --log, as text or as JSON, in the
 * form that containerd and conmon read from runc. The last line with the level "error" is the reason of a failure.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { EngineError } from '../../base/errors.ts'
import { isTerminal } from '../../kernel/terminal.ffi.ts'

type Level = 'debug' | 'info' | 'warning' | 'error'

export type LogOptions = { file?: string; format?: string; debug: boolean }

const standardError = 2

/** Plain words stay bare, anything else is quoted. */
const quoted = (value: string): string => (/^[\w\-./@^+]+$/.test(value) ? value : JSON.stringify(value))

/** RFC 3339 to the second. */
const now = (): string => `${new Date().toISOString().slice(0, 19)}Z`

export class Log {
  readonly #format: 'text' | 'json'
  readonly #debug: boolean
  #fd = standardError

  constructor({ file, format, debug }: LogOptions) {
    if (format !== undefined && format !== 'text' && format !== 'json')
      throw new EngineError('invalid', `invalid log-format: ${format}`)
    this.#format = format ?? 'text'
    this.#debug = debug
    if (file === undefined) return
    this.#fd = openSync(file, constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND | constants.O_SYNC, 0o644)
  }

  get debugs(): boolean {
    return this.#debug
  }

  debug(message: string): void {
    if (this.#debug) this.#write('debug', message)
  }

  warn(message: string): void {
    this.#write('warning', message)
  }

  /** Also on standard error, where the log is a file: whoever typed the command sees it. */
  error(message: string): void {
    this.#write('error', message)
    if (this.#fd !== standardError) tell(standardError, `${message}\n`)
  }

  /** The words of a container that could not become its program. */
  refusal(message: string): void {
    if (this.#fd !== standardError) this.#write('error', message)
    tell(standardError, `${message}\n`)
  }

  [Symbol.dispose](): void {
    if (this.#fd !== standardError) closeSync(this.#fd)
    this.#fd = standardError
  }

  #write(level: Level, message: string): void {
    tell(this.#fd, this.#line(level, message))
  }

  #line(level: Level, msg: string): string {
    if (this.#format === 'json') return `${JSON.stringify({ level, msg, time: now() })}\n`
    if (this.#fd === standardError && isTerminal(standardError))
      return `${level.slice(0, 4).toUpperCase()}[0000] ${msg}\n`
    return `time="${now()}" level=${level} msg=${quoted(msg)}\n`
  }
}

/** A reader that went away is no reason to fail. */
export function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text)
  } catch {
    // There is nobody left to be told.
  }
}
