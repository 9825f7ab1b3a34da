/** The calling conventions that a filter tells apart: numbers, widths, and which of them a processor runs. */
import { EngineError } from '../base/errors.ts'
import { syscallsAarch64 } from './seccomp-aarch64.table.ts'
import { syscallsArm } from './seccomp-arm.table.ts'
import { syscallsI386 } from './seccomp-i386.table.ts'
import { syscallsX32 } from './seccomp-x32.table.ts'
import { syscallsX64 } from './seccomp-x86-64.table.ts'

export type Abi = {
  name: string
  /** linux/audit.h AUDIT_ARCH_*, as seccomp_data has it. */
  audit: number
  numbers: Readonly<Record<string, number>>
  /** Added to every number. */
  marker: number
  /** Of an argument. */
  bits: 32 | 64
  /** From here on numbers are the architecture's own affairs, and say nothing about the age of a kernel. */
  privateRange: number
  /** Has socketcall(2) and ipc(2). */
  multiplexed: boolean
}

/** x32 shares the architecture of x86_64 and marks its numbers with a bit. */
export const x32Marker = 0x40000000

const none = Number.POSITIVE_INFINITY

/** A table is made when it is first asked for: most processes ask for none or two, and each takes up to a millisecond. */
function abi(name: string, audit: number, table: () => Abi['numbers'], more: Partial<Abi> = {}): Abi {
  let numbers: Abi['numbers'] | undefined
  return {
    name,
    audit,
    get numbers() {
      numbers ??= table()
      return numbers
    },
    marker: 0,
    bits: 64,
    privateRange: none,
    multiplexed: false,
    ...more,
  }
}

export const abis: Readonly<Record<string, Abi>> = {
  SCMP_ARCH_X86_64: abi('x86_64', 0xc000003e, syscallsX64),
  SCMP_ARCH_X86: abi('i386', 0x40000003, syscallsI386, { bits: 32, multiplexed: true }),
  SCMP_ARCH_X32: abi('x32', 0xc000003e, syscallsX32, { marker: x32Marker }),
  SCMP_ARCH_AARCH64: abi('aarch64', 0xc00000b7, syscallsAarch64),
  SCMP_ARCH_ARM: abi('arm', 0x40000028, syscallsArm, { bits: 32, privateRange: 0xf0000 }),
}

/** Node's `process.arch`: the native convention first, then those that the same processor runs beside it. */
const families: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
}

/** Named by runtime-spec config-linux.md "Seccomp", but of other processors: their calls cannot occur here. */
const foreign: ReadonlySet<string> = new Set(
  [
    ...['MIPS', 'MIPS64', 'MIPS64N32', 'MIPSEL', 'MIPSEL64', 'MIPSEL64N32', 'PPC', 'PPC64', 'PPC64LE', 'S390', 'S390X'],
    ...['PARISC', 'PARISC64', 'RISCV64', 'LOONGARCH64', 'M68K', 'SH', 'SHEB'],
  ].map((name) => `SCMP_ARCH_${name}`),
)

export const knownArchitectures: readonly string[] = [...Object.keys(abis), ...foreign]

/** The machine's own first, whether or not it is named, then those named that this processor can run. */
export function wantedAbis(named: readonly string[], arch: string): Abi[] {
  const family = families[arch]
  if (family === undefined)
    throw new EngineError('unavailable', `seccomp filters are not available on the processor ${arch}`)
  for (const [at, name] of named.entries())
    if (!Object.hasOwn(abis, name) && !foreign.has(name))
      throw new EngineError(
        'invalid',
        `linux.seccomp.architectures[${at}]: unknown seccomp architecture ${JSON.stringify(name)}`,
      )
  return family.filter((name, at) => at === 0 || named.includes(name)).map((name) => abis[name]!)
}

type Route = { through: 'socketcall' | 'ipc'; number: number }

const routes = (through: Route['through'], names: Readonly<Record<number, string>>): [string, Route][] =>
  Object.entries(names).map(([number, name]) => [name, { through, number: Number(number) }])

/** linux/net.h SYS_*, linux/ipc.h: what the first argument of the multiplexing call says. */
export const multiplexed: Readonly<Record<string, Route>> = Object.fromEntries([
  ...routes('socketcall', {
    1: 'socket',
    2: 'bind',
    3: 'connect',
    4: 'listen',
    5: 'accept',
    6: 'getsockname',
    7: 'getpeername',
    8: 'socketpair',
    9: 'send',
    10: 'recv',
    11: 'sendto',
    12: 'recvfrom',
    13: 'shutdown',
    14: 'setsockopt',
    15: 'getsockopt',
    16: 'sendmsg',
    17: 'recvmsg',
    18: 'accept4',
    19: 'recvmmsg',
    20: 'sendmmsg',
  }),
  ...routes('ipc', {
    1: 'semop',
    2: 'semget',
    3: 'semctl',
    4: 'semtimedop',
    11: 'msgsnd',
    12: 'msgrcv',
    13: 'msgget',
    14: 'msgctl',
    21: 'shmat',
    22: 'shmdt',
    23: 'shmget',
    24: 'shmctl',
  }),
])
