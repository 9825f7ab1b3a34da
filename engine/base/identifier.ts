/** Identifiers as Docker makes them. */
import { randomBytes } from 'node:crypto'

/** 64 hex digits. The first twelve become a hostname and so are never all digits; wire fact of moby's stringid. */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex')
    if (!/^\d{12}/.test(id)) return id
  }
}

export const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12)
