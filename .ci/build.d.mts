import type esbuild from 'esbuild'

export function build(): Promise<boolean>
export function buildRuntime(builder: typeof esbuild, outdir?: string): Promise<unknown>
export function copyKoffi(directory: string, arch?: string, packages?: string): void
