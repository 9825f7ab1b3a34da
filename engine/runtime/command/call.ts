/** What the command line was called with. */
export type Call = {
  /** What the program was called. */
  program: string
  /** How many descriptors from 3 on are the caller's, without a gap. */
  inherited: number
  words: readonly string[]
  /** It has begun from an image (make-image.ts). */
  kept: boolean
}
