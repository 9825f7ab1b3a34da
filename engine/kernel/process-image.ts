/**
 * The image of a process, as a file that the launcher puts into an empty process again (launcher.table.ts): a head of
 * 64 KiB that says what goes where, and the pages that are the process's own. What comes from files and was not changed is
 * mapped from those files.
 *
 * The head, all numbers little endian: a magic word; the boot's name (36 bytes); at 44 how many files, segments and
 * kernel's mappings there are (32 bits each); at 56 where `resume` and its state are; at 72 how many busy ranges there are
 * (32 bits); at 80 a struct prctl_mm_map (PR_SET_MM(2const)); from 192 on
 * - files, 64 bytes each: where in the head its path is, then as in struct stat st_dev, st_ino, st_size, st_mtim, st_ctim;
 * - segments, 40 bytes each, as for mmap(2): address, length, protection and flags (32 bits each), which file (0 is the
 *   image, 1 the first one), offset;
 * - kernel's mappings, 24 bytes each: address, length, how far behind the vdso(7) it lies;
 * - busy ranges, 16 bytes each: address, length and what madvise(2) is told of it (32 bits each);
 * - the paths.
 */

/** An entry of proc_pid_maps(5). */
export type Mapping = {
  readonly start: bigint
  readonly end: bigint
  /** PROT_READ and so on. */
  readonly protection: number
  readonly shared: boolean
  readonly offset: bigint
  /** Of a file, or a name in brackets; empty for anonymous memory. */
  readonly path: string
}

export type Segment = {
  readonly address: bigint
  readonly length: bigint
  readonly protection: number
  /** 'none' is anonymous memory, 'image' what is written behind the head; else a file. */
  readonly source: 'none' | 'image' | { readonly path: string }
  /** In the source. */
  readonly offset: bigint
}

/** Whether there is code for it; process.arch. */
export const hasImages = (machine: string): boolean => machine === 'x64'

/** One page of memory, on the only machine that there are images for. */
export const pageSize = 4096n
export const headSize = 0x10000n

const PROT_READ = 1
const PROT_WRITE = 2
const PROT_EXEC = 4

const line = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) ([0-9a-f]+) \S+ \d+ *(.*)$/

/** @param text of /proc/PID/maps */
export function parseMaps(text: string): Mapping[] {
  return text
    .split('\n')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, start, end, r, w, x, kind, offset, path] = line.exec(entry) ?? []
      if (path === undefined) throw new Error(`an entry of the memory map is not understood: ${entry}`)
      return {
        start: BigInt(`0x${start}`),
        end: BigInt(`0x${end}`),
        protection: (r === 'r' ? PROT_READ : 0) | (w === 'w' ? PROT_WRITE : 0) | (x === 'x' ? PROT_EXEC : 0),
        shared: kind === 's',
        offset: BigInt(`0x${offset}`),
        path,
      }
    })
}

/** Made by the kernel for every process; the last one lies where no process can put anything. */
export const isOfKernel = ({ path }: Mapping): boolean => /^\[(vdso|vvar|vvar_vclock|vsyscall)\]$/.test(path)

/** Belongs to the event loop, which is not kept: nothing is in flight, and what begins again never returns to it. */
export const isOfEventLoop = ({ path }: Mapping): boolean => path === 'anon_inode:[io_uring]'

const presentBit = 1n << 63n
const swappedBit = 1n << 62n
const fileBit = 1n << 61n

/** Whether a page holds what neither a file nor the page of zeros has; proc_pid_pagemap(5). */
const isOwn = (entry: bigint): boolean =>
  (entry & swappedBit) !== 0n || ((entry & presentBit) !== 0n && (entry & fileBit) === 0n)

/** Pages between two runs of anonymous memory that are written, zeros as they are, rather than being mapped apart. */
const nearby = 16

export type Run = { readonly first: number; readonly count: number }

/** @param gap how many pages of the other kind may stand inside of a run */
function runsOf(pagemap: Buffer, wanted: (entry: bigint) => boolean, gap: number): Run[] {
  const runs: { first: number; count: number }[] = []
  for (let page = 0; page * 8 < pagemap.length; page += 1) {
    if (!wanted(pagemap.readBigUInt64LE(page * 8))) continue
    const last = runs.at(-1)
    if (last !== undefined && page - (last.first + last.count) <= gap) last.count = page + 1 - last.first
    else runs.push({ first: page, count: 1 })
  }
  return runs
}

const exclusiveBit = 1n << 56n

/** madvise(2), Linux 5.14. */
const MADV_POPULATE_READ = 22n
const MADV_POPULATE_WRITE = 23n

/** A call costs as much as some pages more. */
const oneCall = 4

/** As the head has it. */
const busySize = 16

/**
 * What of its memory a forked process has used: written, where it may write (its parent has not that page), else read.
 * Whoever begins with this memory is going to use the same, and need not ask the kernel for every page.
 *
 * @param pagemaps eight bytes for each page of a mapping
 */
export function busyTable(pagemaps: Iterable<readonly [Mapping, Buffer]>): Buffer {
  const entries: Buffer[] = []
  for (const [{ start, protection }, pagemap] of pagemaps) {
    const writable = (protection & PROT_WRITE) !== 0
    const wanted = writable ? presentBit | exclusiveBit : presentBit
    const unwanted = writable ? fileBit : 0n
    const runs = runsOf(pagemap, (entry) => (entry & (wanted | unwanted)) === wanted, oneCall)
    for (const { first, count } of runs) {
      const entry = Buffer.alloc(busySize)
      entry.writeBigUInt64LE(start + BigInt(first) * pageSize, 0)
      const length = BigInt(count) * pageSize
      entry.writeBigUInt64LE(length | ((writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) << 32n), 8)
      entries.push(entry)
    }
  }
  return Buffer.concat(entries)
}

const isAnonymous = ({ path }: Mapping): boolean => path === '' || path.startsWith('[')

/**
 * A mapping as segments that lie one behind the other, each wholly of one source. Throws for memory that is shared with
 * others, or with a file that has gone: it cannot be had again.
 *
 * @param at where the next page goes in the image
 */
export function segmentsOf(mapping: Mapping, pagemap: Buffer, at: bigint): Segment[] {
  const { start, end, protection, offset, path } = mapping
  if (mapping.shared || path.endsWith(' (deleted)'))
    throw new Error(`the memory at ${start.toString(16)} (${path}) is not this process's alone`)
  const anonymous = isAnonymous(mapping)
  const segments: Segment[] = []
  const add = (from: bigint, to: bigint, source: Segment['source'], place: bigint): void => {
    if (from < to) segments.push({ address: from, length: to - from, protection, source, offset: place })
  }
  const plain = (from: bigint, to: bigint): void =>
    anonymous ? add(from, to, 'none', 0n) : add(from, to, { path }, offset + (from - start))
  let done = start
  let place = at
  for (const { first, count } of runsOf(pagemap, isOwn, anonymous ? nearby : 0)) {
    const from = start + BigInt(first) * pageSize
    const to = from + BigInt(count) * pageSize
    plain(done, from)
    add(from, to, 'image', place)
    place += to - from
    done = to
  }
  plain(done, end)
  return segments
}

/** What makes a file the same one, as in struct stat; times in nanoseconds. */
export type FileIdentity = {
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

export type Image = {
  /** /proc/sys/kernel/random/boot_id, 36 characters. */
  readonly boot: string
  /** The first one is the program. */
  readonly files: readonly FileIdentity[]
  readonly segments: readonly Segment[]
  readonly kernel: readonly Mapping[]
  /** From `busyTable`. */
  readonly busy: Buffer
  readonly resume: bigint
  readonly state: bigint
  /** start_code, end_code, start_data, end_data, start_brk, brk. */
  readonly bounds: readonly bigint[]
}

const magic = 'DOCKIMG1'
const tablesAt = 192
const fileSize = 64
const segmentSize = 40
const kernelSize = 24
const MAP_PRIVATE = 2
const MAP_ANONYMOUS = 0x20
const MAP_NORESERVE = 0x4000
const MAP_FIXED_NOREPLACE = 0x100000
const second = 1_000_000_000n

/** More would not find room in the launcher's list of descriptors. */
const mostFiles = 30

export function imageHead(image: Image): Buffer {
  const { files, segments, kernel, busy } = image
  const head = Buffer.alloc(Number(headSize))
  head.write(magic + image.boot, 'latin1')
  for (const [index, list] of [files, segments, kernel].entries()) head.writeUInt32LE(list.length, 44 + index * 4)
  for (const [index, value] of [image.resume, image.state, BigInt(busy.length / busySize), ...image.bounds].entries())
    head.writeBigUInt64LE(value, 56 + index * 8)
  let textAt = tablesAt + files.length * fileSize + segments.length * segmentSize + kernel.length * kernelSize
  textAt += busy.length
  const texts = files.map(({ path }) => Buffer.from(`${path}\0`))
  if (files.length > mostFiles || textAt + texts.reduce((sum, { length }) => sum + length, 0) > head.length)
    throw new Error(`an image of ${files.length} files and ${segments.length} segments has no room in its head`)
  let at = tablesAt
  const put = (values: readonly bigint[]): void => {
    for (const value of values) at = head.writeBigUInt64LE(BigInt.asUintN(64, value), at)
  }
  for (const [index, { dev, ino, size, mtimeNs, ctimeNs }] of files.entries()) {
    const times = [mtimeNs / second, mtimeNs % second, ctimeNs / second, ctimeNs % second]
    put([BigInt(textAt), dev, ino, size, ...times])
    textAt += texts[index]!.copy(head, textAt)
  }
  for (const segment of segments) putSegment(put, segment, files)
  const vdso = kernel.find(({ path }) => path === '[vdso]')?.start ?? 0n
  for (const { start, end } of kernel) put([start, end - start, start - vdso])
  busy.copy(head, at)
  return head
}

function putSegment(
  put: (values: readonly bigint[]) => void,
  { address, length, protection, source, offset }: Segment,
  files: readonly FileIdentity[],
): void {
  const slot = typeof source === 'string' ? 0 : files.findIndex(({ path }) => path === source.path) + 1
  if (typeof source !== 'string' && slot === 0) throw new Error(`${source.path} is mapped and not among the files`)
  const flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (source === 'none' ? MAP_ANONYMOUS | MAP_NORESERVE : 0)
  put([address, length, BigInt(protection) | (BigInt(flags) << 32n), BigInt(slot), offset])
}

/** Of which boot and which files an image is. Throws for what is none. */
export function imageTells(head: Buffer): Pick<Image, 'boot' | 'files'> {
  if (head.toString('latin1', 0, magic.length) !== magic) throw new Error('this is not the image of a process')
  const files = Array.from({ length: head.readUInt32LE(44) }, (_, index) => {
    const at = tablesAt + index * fileSize
    const [textAt, dev, ino, size, mtime, mtimePart, ctime, ctimePart] = Array.from({ length: 8 }, (_, word) =>
      head.readBigUInt64LE(at + word * 8),
    ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint]
    const path = head.toString('utf8', Number(textAt), head.indexOf(0, Number(textAt)))
    return { path, dev, ino, size, mtimeNs: mtime * second + mtimePart, ctimeNs: ctime * second + ctimePart }
  })
  return { boot: head.toString('latin1', 8, 44), files }
}
