// The file systems that the demo makes on block devices, each on its own volume. For each file system, this file has its minimum size and
// the commands that make and check it. Pure; block-device-step.ts runs the commands.

export interface FileSystem {
  /** Name of the file system for mount and the kernel. */
  readonly name: string;
  readonly volume: string;
  readonly sizeMib: number;
  readonly make: readonly [tool: string, ...words: string[]];
  /** Command that changes nothing and fails if it finds a fault. */
  readonly check: readonly [tool: string, ...words: string[]];
}

export const EXT4: FileSystem = {
  name: 'ext4',
  volume: 'work',
  sizeMib: 64,
  make: ['mkfs.ext4', '-q'],
  check: ['e2fsck', '-f', '-n'],
};

/** The size is the smallest that mkfs.xfs accepts. The volume takes little space, because its file is sparse. */
export const XFS: FileSystem = {
  name: 'xfs',
  volume: 'archive',
  sizeMib: 320,
  make: ['mkfs.xfs', '-q'],
  check: ['xfs_repair', '-n'],
};
