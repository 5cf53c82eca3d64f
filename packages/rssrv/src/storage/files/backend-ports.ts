// The ports of a backend: the clock, the helpers that all backends of a process share, and the report of storage errors. Errors have a port
// of their own, because the backend's caller gets only a status.

import type { Clock } from '@rsio/common/lib/clock';
import type { DropPages } from '../io/drop-pages.ts';
import type { NowaitRead } from '../io/nowait-read.ts';
import type { RangeHelper } from './range-helper.ts';
import type { ServedPart } from '../io/served-volume.ts';
import type { ThreadShares } from '../io/thread-shares.ts';
import type { VolumeFiles } from './volume-files.ts';

export type BackendOperation = 'read' | 'write' | 'flush' | 'discard' | 'zero' | 'extents' | 'close';

export interface BackendPorts {
  /** Opens the files of the volume, one after the other. By default, they are opened by their paths. */
  readonly files?: VolumeFiles;
  readonly clock: Clock;
  /** Returns how many times the threads of this process have slept, or 0 if the number is unknown (inline-policy.ts). */
  readonly sleeps: () => number;
  /** Reads what is cached without waiting. By default, or if null, the time of each read decides (inline-policy.ts). */
  readonly nowait?: NowaitRead | null;
  /** Drops what the kernel shows of a file, after a failed sync. Null if this machine cannot. */
  readonly dropPages: DropPages | null;
  /** Called if the storage of a volume refuses `nowait`, so that time decides. */
  readonly onGuess?: (path: string) => void;
  readonly helper: RangeHelper;
  readonly threads: ThreadShares;
  /**
   * `errno`: a name such as `EIO`, or `SHORT_READ` if the file is shorter than the volume. `part`: the file that failed, if the volume
   * consists of several files.
   */
  readonly onError: (operation: BackendOperation, errno: string, part?: ServedPart) => void;
}
