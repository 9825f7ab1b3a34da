/**
 * madvise(2) and clone3(2) in one call, with no JavaScript between them.
 *
 * V8 maps its pages MADV_DONTFORK. A page that it maps between our MADV_DOFORK and the fork is missing in the child,
 * which then dies at its first touch; and any step of JavaScript may need a page, be it for a hidden class or for a
 * collection. So the calls are strung together by libc itself: a chain of contexts (makecontext(3)), each of which
 * calls one C function and goes on to the next (uc_link), and swapcontext(3) runs it through.
 */
import { addressOf, declare, declarePlain } from './libc.ffi.ts'

const cGetcontext = declare('getcontext', 'int getcontext(void *context)')
const cSwapcontext = declare('swapcontext', 'int swapcontext(void *save, void *next)')
const cDlsym = declarePlain('uintptr_t dlsym(intptr_t handle, const char *name)')
const cMask = declare('sigprocmask', 'int pthread_sigmask(int how, void *set, void *old)')
const cMakecontext = declarePlain(
  'void makecontext(void *context, uintptr_t function, int count, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)',
)

const SIG_SETMASK = 2
const RTLD_DEFAULT = 0
/** ucontext_t: uc_link at 8, uc_stack (ss_sp, ss_flags, ss_size) at 16; the same on x86_64 and aarch64. */
const ucLink = 8
const ucStack = 16
const ucStackSize = 32
/** More than ucontext_t takes anywhere (4,560 bytes on aarch64). */
const contextSize = 8192
/** The functions called are bare system calls. */
const stackSize = 32768
/** What makecontext(3) writes lies within this many bytes of the end. */
const stackTop = 256

export type NativeCall = { readonly name: string; readonly args: readonly (bigint | number)[] }

type Context = { memory: Buffer; stack: Buffer }

/** Each call's context keeps all signals blocked: none may run a handler on its small stack, or be lost. */
function contextsFor(calls: readonly NativeCall[]): Context[] {
  const all = Buffer.alloc(128, 0xff)
  const before = Buffer.alloc(128)
  cMask(SIG_SETMASK, all, before)
  try {
    return calls.map(() => {
      const context = {
        memory: Buffer.allocUnsafeSlow(contextSize).fill(0),
        stack: Buffer.allocUnsafeSlow(stackSize).fill(0),
      }
      cGetcontext(context.memory)
      return context
    })
  } finally {
    cMask(SIG_SETMASK, before, null)
  }
}

/**
 * Prepares `calls` (C functions with at most four integer arguments) to be made one after the other, however often the
 * returned function is called. Their results are not told: what matters must be read from memory that they wrote.
 */
export function nativeSequence(calls: readonly NativeCall[]): () => void {
  const back = Buffer.allocUnsafeSlow(contextSize).fill(0)
  const contexts = contextsFor(calls)
  for (const [index, { name, args }] of calls.entries()) {
    const { memory, stack } = contexts[index]!
    const next = contexts[index + 1]?.memory ?? back
    memory.writeBigUInt64LE(addressOf(next), ucLink)
    memory.writeBigUInt64LE(addressOf(stack), ucStack)
    memory.writeBigUInt64LE(BigInt(stackSize), ucStackSize)
    const address = cDlsym(RTLD_DEFAULT, name)
    if (BigInt(address) === 0n) throw new Error(`libc has no ${name}`)
    const [a = 0, b = 0, c = 0, d = 0] = args
    cMakecontext(memory, address, 4, a, b, c, d)
  }
  // A run overwrites the return address and the link that makecontext left at the top of each stack: put them back.
  const tops = contexts.map(({ stack }) => Buffer.from(stack.subarray(-stackTop)))
  // The chain is walked by address: what this function holds is all that keeps its memory from being collected.
  return () => {
    for (const [index, { stack }] of contexts.entries()) tops[index]!.copy(stack, stack.length - stackTop)
    cSwapcontext(back, contexts[0]!.memory)
  }
}
