/**
 * A process that is kept as a file and begun again by the launcher, many times: what a program does before it knows
 * what it is asked for is done once. docs/decisions/0017 says what is in an image and what must not be.
 *
 * Kernel interface: proc_pid_maps(5), proc_pid_pagemap(5), proc_pid_mem(5), proc_pid_stat(5), arch_prctl(2).
 */
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs'
import koffi from 'koffi'
import { codeOf } from './init-program.ts'
import { addressOf, declarePlain, symbolAddress } from './libc.ffi.ts'
import { placeCode } from './machine-code.ffi.ts'
import { resumeListing, stillListing } from './process-image.table.ts'
import {
  busyTable,
  type FileIdentity,
  headSize,
  imageHead,
  isOfEventLoop,
  isOfKernel,
  type Mapping,
  pageSize,
  parseMaps,
  type Segment,
  segmentsOf,
} from './process-image.ts'

const cSbrk = declarePlain('intptr_t sbrk(intptr_t increment)')
const stillType = koffi.proto('intptr_t still(void *state, intptr_t fd)')

/** What the code needs, made before the moment that is kept. */
export type Standstill = { still: bigint; resume: bigint; state: Buffer; stateAddress: bigint; brk: bigint }

export function prepareStandstill(): Standstill {
  const [still, resume] = [stillListing, resumeListing].map((listing) => placeCode(codeOf(listing))) as [bigint, bigint]
  const state = Buffer.allocUnsafeSlow(32).fill(0)
  state.writeBigUInt64LE(symbolAddress('environ'), 24)
  // Asked for before the fork: a small buffer moves out of V8's heap when somebody wants to know where it is.
  return { still, resume, state, stateAddress: addressOf(state), brk: BigInt(cSbrk(0)) }
}

/**
 * Sleeps for ever, once a byte is written to `fd`. Returns only in what the launcher makes of the image: in another
 * process, which has the environment, descriptors, directory, limits and rights of whoever called it, and nothing of
 * this one's but memory. Answers the errno of what should have made the program /proc/self/exe, 0 if it did.
 *
 * Precondition: this is the only thread of a forked child.
 */
export function standStill({ still, state }: Standstill, fd: number): number {
  koffi.call(still, stillType, state, fd)
  return -Number(state.readBigInt64LE(16))
}

/** Throws where there is no such file. */
export function identityOf(path: string): FileIdentity {
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
  return { path, dev, ino, size, mtimeNs, ctimeNs }
}

/** This boot of the machine. */
export const bootName = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()

/** Where a stack may grow to; the kernel's own would by itself. */
const stackRoom = 8n << 20n

/** Room below a stack. Nothing else is ever mapped there: mmap(2) keeps a distance of 128 MiB. */
const roomBelow = (segments: readonly Segment[], maps: readonly Mapping[]): Segment[] => {
  const { start, protection } = maps.find(({ path }) => path === '[stack]')!
  const address = start - stackRoom
  if (segments.some((other) => other.address < start && other.address + other.length > address))
    throw new Error('there is no room for a stack')
  return [{ address, length: stackRoom, protection, source: 'none', offset: 0n }]
}

/** start_code, end_code, start_data, end_data, start_brk; fields 26, 27, 45, 46, 47 of proc_pid_stat(5). */
function boundsOf(pid: number): bigint[] {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ')
  return [26, 27, 45, 46, 47].map((number) => BigInt(fields[number - 3]!))
}

/** Guarded by a key of the processor's (pkeys(7)), a page would come back without its guard. */
function refuseGuarded(pid: number): void {
  if (/^ProtectionKey: +[1-9]/m.test(readFileSync(`/proc/${pid}/smaps`, 'latin1')))
    throw new Error('memory with a protection key cannot be had again')
}

const chunkSize = 1 << 20

/** Copies memory of a process into a file, which is written from its end on. */
function copyMemory(memory: number, { address, length }: Segment, file: number): void {
  const chunk = Buffer.allocUnsafeSlow(chunkSize)
  for (let done = 0n; done < length; ) {
    const wanted = Number(length - done < chunkSize ? length - done : BigInt(chunkSize))
    const count = readSync(memory, chunk, 0, wanted, address + done)
    if (count === 0) throw new Error(`the memory at ${(address + done).toString(16)} cannot be read`)
    writeFileSync(file, chunk.subarray(0, count))
    done += BigInt(count)
  }
}

/** Eight bytes for each page of a mapping. What nobody may touch is room that V8 keeps, and can be very large: nothing. */
function* pagemaps(pid: number | 'self', maps: readonly Mapping[]): Generator<[Mapping, Buffer]> {
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r')
  try {
    for (const mapping of maps) {
      const pages = mapping.protection === 0 ? 0n : (mapping.end - mapping.start) / pageSize
      const bytes = Buffer.alloc(Number(pages) * 8)
      if (pages > 0n) readSync(pagemap, bytes, 0, bytes.length, (mapping.start / pageSize) * 8n)
      yield [mapping, bytes]
    }
  } finally {
    closeSync(pagemap)
  }
}

const mapsOf = (pid: number | 'self'): Mapping[] => parseMaps(readFileSync(`/proc/${pid}/maps`, 'latin1'))

const isKept = (mapping: Mapping): boolean => !isOfKernel(mapping) && !isOfEventLoop(mapping)

/** What this process, forked a while ago, has used of its memory since; for `writeImage`. */
export const busyPages = (): Buffer => busyTable(pagemaps('self', mapsOf('self').filter(isKept)))

/** The segments of all mappings, with where in the image their own pages go. */
function layOut(pid: number, maps: readonly Mapping[]): Segment[] {
  let at = headSize
  const segments: Segment[] = []
  for (const [mapping, bytes] of pagemaps(pid, maps))
    for (const segment of segmentsOf(mapping, bytes, at)) {
      segments.push(segment)
      if (segment.source === 'image') at += segment.length
    }
  return segments
}

/**
 * Writes the image of a process that stands still into an open, empty file.
 *
 * @param checked files that were read and are not mapped: an image is of no use once one of them has changed
 * @param busy from `busyPages`
 */
export function writeImage(
  pid: number,
  still: Standstill,
  { file, checked, busy }: { file: number; checked: readonly string[]; busy: Buffer },
): void {
  refuseGuarded(pid)
  const maps = mapsOf(pid)
  const mapped = maps.filter(isKept)
  const own = layOut(pid, mapped)
  const segments = [...own, ...roomBelow(own, maps)]
  const program = process.execPath
  const paths = new Set([program, ...mapped.map(({ path }) => path).filter((path) => path.startsWith('/')), ...checked])
  const head = imageHead({
    boot: bootName(),
    files: [...paths].map(identityOf),
    segments,
    kernel: maps.filter((mapping) => isOfKernel(mapping) && mapping.path !== '[vsyscall]'),
    busy,
    resume: still.resume,
    state: still.stateAddress,
    bounds: [...boundsOf(pid), still.brk],
  })
  writeFileSync(file, head)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const segment of segments) if (segment.source === 'image') copyMemory(memory, segment, file)
  } finally {
    closeSync(memory)
  }
}
