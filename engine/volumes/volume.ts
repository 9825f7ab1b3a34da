/** Named volumes as the lifecycle sees them: directories `volumes/NAME/_data` of the root, with a row each. */

export type Volume = {
  name: string
  driver: 'local'
  mountpoint: string
  created: string
  labels: Record<string, string>
  options: Record<string, string>
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
  }): Promise<Volume>
  /** conflict while `usedBy` names containers; wire fact 158. */
  remove(name: string, options: { force: boolean; usedBy: string[] }): Promise<void>
  /** Bytes of the files in it. */
  usage(name: string): Promise<number>
}
