/**
 * Writable views over image layers. A snapshot is a directory of the store plus a row of the database; what it takes
 * to see it as a file system is a list of mounts, made inside the container's own mount namespace, so that nothing is
 * mounted on the host and a killed daemon leaves no mount behind.
 */

/** One overlay(7) mount; paths are absolute. `lower` is topmost first. Without `upper` the mount is read-only. */
export type OverlayMount = {
  /** Where, inside the root: `/` first, then below it. */
  readonly target: string
  readonly lower: readonly string[]
  readonly upper?: string
  readonly work?: string
}

/** A further mount point of a chain and what is below it, topmost first: the machine's own /usr in its own image. */
export type SnapshotPart = { readonly target: string; readonly lower: readonly string[] }

export type SnapshotUsage = { bytes: number; inodes: number }

export type Snapshotter = {
  /** Makes the writable snapshot `key` on top of the chain (OCI chain id; undefined: empty root). conflict if it exists. */
  prepare(key: string, chainId: string | undefined): Promise<readonly OverlayMount[]>
  /** The mounts of an existing snapshot. not-found otherwise. */
  mounts(key: string): readonly OverlayMount[]
  /** Mounts that show a committed chain read-only. */
  view(chainId: string): readonly OverlayMount[]
  /** Bytes and inodes of what was written into it. */
  usage(key: string): Promise<SnapshotUsage>
  /** Where the writes of the snapshot are, by target: for diff and commit. */
  uppers(key: string): readonly { target: string; upper: string; lower: readonly string[] }[]
  /** Forgets and deletes, with all whose key is `KEY/…`; missing is fine. Safe to repeat after a crash. */
  remove(key: string): Promise<void>
  /** Has this chain been unpacked? */
  has(chainId: string): boolean
  /** Resolves as soon as this chain has been committed; rejects with the signal's reason. */
  until(chainId: string, signal: AbortSignal): Promise<void>
  /**
   * Starts a layer: the returned directory is filled by the caller, who need not know yet what it will stand on. `parts`
   * makes it the bottom layer of the machine's own image.
   */
  stage(parts?: readonly SnapshotPart[]): Promise<StagedLayer>
  /** Removes committed chains for which `used` is false, never one that a snapshot or another chain stands on. Bytes freed. */
  collect(used: (chainId: string) => boolean): Promise<number>
}

export type LayerPlace = {
  /** The chain that the layer stands on; undefined: the bottom. */
  parent: string | undefined
  /** Whether owner and mode of the layer's root are its own; else they become those of the layer below. */
  ownRoot: boolean
}

export type StagedLayer = {
  /** Absolute path of the layer's directory (overlay's lower form: whiteouts are 0:0 character devices). */
  readonly directory: string
  /**
   * Gives it its chain id and its place, durably. not-found when the parent is not there. A layer that another caller
   * committed meanwhile wins, and this one is dropped.
   *
   * @param synced what the layer holds is on the disk already
   */
  commit(chainId: string, place: LayerPlace, synced?: boolean): Promise<void>
  discard(): Promise<void>
}
