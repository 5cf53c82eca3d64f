// The ports of a backend: the clock, the calls and threads that all backends of a process share, and the report of storage errors. Errors are
// reported through a separate port, because the backend's caller gets only a status.

import type { Clock } from '@rsio/base/lib/clock';
import type { FileCalls } from '../../machine/file-calls.ts';
import type { DropPages } from '../io/drop-pages.ts';
import type { FileSize } from '../io/file-size.ts';
import type { NowaitRead } from '../io/nowait-read.ts';
import type { ServedPart } from '../io/served-volume.ts';
import type { ThreadShares } from '../io/thread-shares.ts';
import type { VolumeFiles } from './volume-files.ts';

export type BackendOperation = 'read' | 'write' | 'flush' | 'discard' | 'zero' | 'extents' | 'close';

export interface BackendPorts {
  /** Opens the files of the volume, one after the other. */
  readonly files: VolumeFiles;
  readonly clock: Clock;
  /** Returns how many times the threads of this process have slept, or 0 if the number is unknown (inline-policy.ts). */
  readonly sleeps: () => number;
  /** Reads cached data without waiting. If `nowait` is null, measured times decide where a read runs (inline-policy.ts). */
  readonly nowait: NowaitRead | null;
  /** Returns the size of an open file. */
  readonly fileSize: FileSize;
  /** Drops the cached pages of a file after a failed sync. */
  readonly dropPages: DropPages;
  /** Called if the storage does not support `nowait`, so that measured times decide where a read runs. */
  readonly onGuess?: (path: string) => void;
  readonly calls: FileCalls;
  readonly threads: ThreadShares;
  /**
   * `errno`: a name such as `EIO`, or `SHORT_READ` if the file is shorter than the volume. `part`: the failed file of a volume of several
   * files.
   */
  readonly onError: (operation: BackendOperation, errno: string, part?: ServedPart) => void;
}
