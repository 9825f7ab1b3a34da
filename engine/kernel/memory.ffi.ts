/** Memory that a process holds and does not use: madvise(2), malloc_trim(3). */
import { readFileSync } from 'node:fs'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { declarePlain, declareRaw } from './libc.ffi.ts'

const cMallocTrim = declarePlain('int malloc_trim(size_t pad)')
const cMadvise = declareRaw('int madvise(uintptr_t address, size_t length, int advice)')

const MADV_DONTNEED = 4

export type Mapping = { readonly start: bigint; readonly length: bigint }

const header = /^([0-9a-f]+)-([0-9a-f]+) (r-.p) \S+ \S+ [1-9]/
/** Pages that are not the file's any more, in memory or swapped out: as after a relocation, or a breakpoint. */
const ofItsOwn = /^(?:Anonymous|Swap): +[1-9]/m

/**
 * The private read-only mappings that hold bytes of their files and nothing else. What is dropped of these is there
 * again at the next touch, out of the page cache; madvise(2). A mapping with a page of its own is left alone as a
 * whole: what such a page says is nowhere else.
 *
 * @param smaps the text of /proc/self/smaps; proc_pid_smaps(5)
 */
export function cleanFileMappings(smaps: string): Mapping[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((entry) => {
    const [, from, to] = header.exec(entry) ?? []
    if (from === undefined || !/^Anonymous: +0 kB$/m.test(entry) || ofItsOwn.test(entry)) return []
    const start = BigInt(`0x${from}`)
    return [{ start, length: BigInt(`0x${to}`) - start }]
  })
}

/**
 * Takes the pages of programs and libraries out of this process. Those that it goes on using come back, some tens of
 * KiB at a time and without a disk being asked.
 */
export function dropPages(mappings: readonly Mapping[]): void {
  for (const { start, length } of mappings) cMadvise(start, length, MADV_DONTNEED)
}

/** Gives back what malloc(3) holds and nobody uses, and drops the pages of files; answers which mappings those are in. */
export function returnFreePages(): Mapping[] {
  cMallocTrim(0)
  const mappings = cleanFileMappings(ownMappings())
  dropPages(mappings)
  return mappings
}

/** Nothing where there is no descriptor left to read it by: this is done for others, and must not fail. */
function ownMappings(): string {
  try {
    return readFileSync('/proc/self/smaps', 'utf8')
  } catch {
    return ''
  }
}

/**
 * Lets the heap grow to five times of what lives before it is collected. Buffers count as well: by V8's own measure, a
 * heap as small as this one is collected a hundred times while an image is pulled. What has grown goes at rest.
 */
export function collectRarely(): void {
  setFlagsFromString('--heap-growing-percent=400')
}

type Collect = (options: { type: 'major'; flavor: 'last-resort' | 'regular' } | { type: 'minor' }) => void

function collector(): Collect {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return collect
}

let collect: Collect | undefined
/** Bytes of the heap after the last collection. */
let leanHeap = 0
/** A heap that has grown by less is not worth the time. */
const worthwhile = 4 << 20

/** The last resort is the one collection that gives back young space and half-empty pages. */
function shrinkHeap(): void {
  if (getHeapStatistics().total_physical_size < leanHeap + worthwhile) return
  collect ??= collector()
  collect({ type: 'major', flavor: 'last-resort' })
  leanHeap = getHeapStatistics().total_physical_size
}

/** A collection that is under way goes on in every child, and each copies all that there is to mark it: this ends it. */
export function collectAll(): void {
  collect ??= collector()
  collect({ type: 'major', flavor: 'regular' })
}

/** What has lived through two of these is not copied again by a process that begins with this heap. */
export function collectYoung(): void {
  collect ??= collector()
  collect({ type: 'minor' })
}

/**
 * Gives back what a burst of work needed and the time after it does not. Takes about a millisecond, and a tenth of a
 * second where the heap has grown.
 */
export function returnUnusedMemory(): void {
  shrinkHeap()
  returnFreePages()
}
