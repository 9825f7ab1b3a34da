/** Random numbers of the kernel's: getrandom(2). For forked processes, whose libraries may share what their parent drew. */
import { declare } from './libc.ffi.ts'

const cGetrandom = declare('getrandom', 'intptr_t getrandom(void *buffer, size_t length, unsigned int flags)')

const drawn = Buffer.alloc(2)

/** 0 to 65535. */
export function randomShort(): number {
  cGetrandom(drawn, drawn.length, 0)
  return drawn.readUInt16BE(0)
}
