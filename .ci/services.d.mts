export const loadersRoot: string
export function serviceArchive(name: string): string
export function ensureServices(log?: (line: string) => void): string | undefined
