/**
 * The machine code that makes a row of system calls, as assembly listings; how to read them is told in
 * init-program.table.ts. In C it is `size_t run(struct entry *entries, size_t count)`: it answers how many are left,
 * 0 when all were made. An entry has eight words of 64 bits: the call's number and, in that word's upper half, whether the
 * row ends when it fails; six arguments; what the kernel answered.
 *
 * Kernel interface: syscall(2) "Architecture calling conventions".
 */
import type { InitMachine } from './init-program.table.ts'

/** By Node's name of the processor. */
export const callSequenceListings: Readonly<Record<InitMachine, string>> = {
  x64: `
run:
  53          | push rbx
  55          | push rbp
  48 89 fb    | mov rbx, rdi # rbx: the entry
  48 89 f5    | mov rbp, rsi # rbp: how many are left
next:
  48 85 ed    | test rbp, rbp
  74 34       | je end
  8b 03       | mov eax, [rbx]
  48 8b 7b 08 | mov rdi, [rbx+8]
  48 8b 73 10 | mov rsi, [rbx+16]
  48 8b 53 18 | mov rdx, [rbx+24]
  4c 8b 53 20 | mov r10, [rbx+32]
  4c 8b 43 28 | mov r8, [rbx+40]
  4c 8b 4b 30 | mov r9, [rbx+48]
  0f 05       | syscall
  48 89 43 38 | mov [rbx+56], rax
  48 85 c0    | test rax, rax
  79 06       | jns done
  83 7b 04 00 | cmp dword ptr [rbx+4], 0
  75 09       | jne end # it had to succeed
done:
  48 83 c3 40 | add rbx, 64
  48 ff cd    | dec rbp
  eb c7       | jmp next
end:
  48 89 e8    | mov rax, rbp
  5d          | pop rbp
  5b          | pop rbx
  c3          | ret
`,
  arm64: `
run:
  e9 03 00 aa | mov x9, x0 # x9: the entry
  ea 03 01 aa | mov x10, x1 # x10: how many are left
next:
  aa 01 00 b4 | cbz x10, end
  28 01 40 b9 | ldr w8, [x9]
  20 85 40 a9 | ldp x0, x1, [x9, 8]
  22 8d 41 a9 | ldp x2, x3, [x9, 24]
  24 95 42 a9 | ldp x4, x5, [x9, 40]
  01 00 00 d4 | svc 0
  20 1d 00 f9 | str x0, [x9, 56]
  60 00 f8 b6 | tbz x0, 63, done
  2b 05 40 b9 | ldr w11, [x9, 4]
  8b 00 00 35 | cbnz w11, end # it had to succeed
done:
  29 01 01 91 | add x9, x9, 64
  4a 05 00 d1 | sub x10, x10, 1
  f4 ff ff 17 | b next
end:
  e0 03 0a aa | mov x0, x10
  c0 03 5f d6 | ret
`,
}
