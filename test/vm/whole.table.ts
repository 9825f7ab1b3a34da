/** What runs where no file is named. */

type Whole = {
  files: string
  /**
   * The modes, each with the minutes that it takes where two processors have nothing else to do. A namespace within QEMU
   * has nothing that one within user-mode Linux does not have.
   */
  minutes: Partial<Record<'plain' | 'nested' | 'systemd', number>>
}

export const whole: Readonly<Record<string, Whole>> = {
  uml: { files: 'test/{kernel,engine,conformance,clients,vm}/**/*.test.ts', minutes: { plain: 25, nested: 25 } },
  // Other people's clients see nothing of the kernel: once is enough, where it is fast.
  qemu: { files: 'test/{kernel,engine,conformance,vm}/**/*.test.ts', minutes: { plain: 150, systemd: 150 } },
}
