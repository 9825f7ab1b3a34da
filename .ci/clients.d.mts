export const packagesHome: string
export const dockerConfig: string
export const dockerPath: string
export function ensureClients(log?: (line: string) => void): {
  packages: string | undefined
  debian: string | undefined
}
