/** The engine answered with an error: its status and its own sentence. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Nobody answered at the socket. `code` is the system's: ENOENT, ECONNREFUSED, EACCES … */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
  readonly code: string

  constructor(socketPath: string, code: string, options?: ErrorOptions) {
    super(`The engine can't be reached at ${socketPath}: ${reasonOf(code)}.`, options)
    this.code = code
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'the socket does not exist',
  ECONNREFUSED: 'nothing listens there',
  EACCES: 'this user may not open it',
  ECONNRESET: 'the connection was cut',
  ENOTSOCK: 'it is not a socket',
}

const reasonOf = (code: string): string => reasons[code] ?? code

/** Somebody here cancelled the request: no message is wanted then. */
export class AbortedError extends Error {
  override readonly name = 'AbortError'

  constructor() {
    super('The request was cancelled.')
  }
}

/** Also true for what Node throws at an aborted signal. */
export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'

/** The text of any thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
