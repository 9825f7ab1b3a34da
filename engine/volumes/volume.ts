/** Named volumes as the lifecycle sees them: directories `volumes/NAME/_data` of the root, with a row each. */
import type { Credentials } from '../kernel/file-rights.ffi.ts'

export type Volume = {
  name: string
  driver: 'local'
  mountpoint: string
  created: string
  labels: Record<string, string>
  options: Record<string, string>
  /** Whose rights a bind's device is reached with; absent: root's. */
  client?: Credentials
}

export type Volumes = {
  /** Exact name; not-found: `get X: no such volume`. */
  get(name: string): Volume
  list(): Volume[]
  /** An existing name with the same driver is returned as it is; wire fact 157. */
  create(request: {
    name?: string
    driver?: string
    labels?: Record<string, string>
    options?: Record<string, string>
    /** Who asked for it; absent: root. forbidden where the options would show them more than they may see. */
    client?: Credentials
  }): Promise<Volume>
  /** conflict while `usedBy` names containers; wire fact 158. */
  remove(name: string, options: { force: boolean; usedBy: string[] }): Promise<void>
  /** Bytes of the files in it. */
  usage(name: string): Promise<number>
}
