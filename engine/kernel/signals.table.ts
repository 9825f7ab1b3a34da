/** signal(7), generic numbering (x86_64 and aarch64 share it). */
export const signalNumbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
  SIGRTMIN: 34,
  SIGRTMAX: 64,
} as const

/** In the words of strsignal(3), as Go's and so runc's; those that end programs. */
const signalWords: Readonly<Record<number, string>> = {
  1: 'hangup',
  2: 'interrupt',
  3: 'quit',
  4: 'illegal instruction',
  5: 'trace/breakpoint trap',
  6: 'aborted',
  7: 'bus error',
  8: 'floating point exception',
  9: 'killed',
  11: 'segmentation fault',
  13: 'broken pipe',
  14: 'alarm clock',
  15: 'terminated',
  24: 'CPU time limit exceeded',
  25: 'file size limit exceeded',
  31: 'bad system call',
}

export const describeSignal = (signal: number): string => signalWords[signal] ?? `signal ${signal}`

const numbers = new Map<string, number>(Object.entries(signalNumbers))

/**
 * A signal as people write it: a number 1–64, or a name with or without `SIG` in any case, also `RTMIN+3`, `RTMAX-1`.
 * Undefined for anything else.
 */
export function parseSignal(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    return number >= 1 && number <= 64 ? number : undefined
  }
  const upper = text.toUpperCase()
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`
  const direct = name === 'SIGIOT' ? 6 : name === 'SIGPOLL' ? 29 : name === 'SIGCLD' ? 17 : numbers.get(name)
  if (direct !== undefined) return direct
  const relative = /^SIGRT(MIN\+|MAX-)(\d{1,2})$/.exec(name)
  if (relative === null) return undefined
  const number = relative[1] === 'MIN+' ? 34 + Number(relative[2]) : 64 - Number(relative[2])
  return number >= 34 && number <= 64 ? number : undefined
}
