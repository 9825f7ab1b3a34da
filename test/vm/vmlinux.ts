/**
 * The kernel itself out of a bzImage: an emulated processor would take seconds to decompress it. QEMU starts the ELF file
 * through its PVH entry. Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
 */
import { execFileSync } from 'node:child_process'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

/** Undefined where the compression is one that is not known here: then the bzImage itself has to do. */
export function vmlinux(image: Buffer): Buffer | undefined {
  const setupSectors = image.readUInt8(0x1f1) || 4
  const offset = (setupSectors + 1) * 512 + image.readUInt32LE(0x248)
  const length = image.readUInt32LE(0x24c)
  const payload = image.subarray(offset, offset + length)
  const magic = payload.subarray(0, 4).toString('hex')
  if (magic.startsWith('1f8b')) return gunzipSync(payload)
  // The last four bytes are the size, which is no part of the compressed stream.
  if (magic === '28b52ffd') return zstdDecompressSync(payload.subarray(0, -4))
  if (magic === 'fd377a58')
    return execFileSync('xz', ['--decompress', '--stdout', '--single-stream'], { input: payload, maxBuffer: 2 ** 28 })
  return undefined
}
