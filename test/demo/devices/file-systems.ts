// The file systems that the demo makes on block devices, each on a volume of its own: how to make and check one, and its minimum size.
// Pure; block-device-step.ts runs the commands.

export interface FileSystem {
  /** As mount and the kernel call it. */
  readonly name: string;
  readonly volume: string;
  readonly sizeMib: number;
  readonly make: readonly [tool: string, ...words: string[]];
  /** Changes nothing, and fails when it finds a fault. */
  readonly check: readonly [tool: string, ...words: string[]];
}

export const EXT4: FileSystem = {
  name: 'ext4',
  volume: 'work',
  sizeMib: 64,
  make: ['mkfs.ext4', '-q'],
  check: ['e2fsck', '-f', '-n'],
};

/** No smaller one is made by mkfs.xfs; the server's file has holes. */
export const XFS: FileSystem = {
  name: 'xfs',
  volume: 'archive',
  sizeMib: 320,
  make: ['mkfs.xfs', '-q'],
  check: ['xfs_repair', '-n'],
};
