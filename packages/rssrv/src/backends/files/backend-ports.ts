// What a backend is given from outside: time, the range helper shared by all backends of a process, and where it reports the
// system errors that its caller only sees as a status.

import type { Clock } from '@rsio/common/lib/clock';
import type { RangeHelper } from '../ranges/range-helper.ts';
import type { ThreadShares } from '../common/thread-shares.ts';

export type BackendOperation = 'read' | 'write' | 'flush' | 'discard' | 'zero' | 'extents' | 'close';

export interface BackendPorts {
  readonly clock: Clock;
  /** How often this process has slept until now; 0 where that is not known (pace.ts). */
  readonly sleeps: () => number;
  readonly helper: RangeHelper;
  /** Of this process, for all that is open in it. */
  readonly threads: ThreadShares;
  /** The storage failed: `errno` is a name such as `EIO`, or `SHORT_READ` where the file has become shorter than the volume. */
  readonly onError: (operation: BackendOperation, errno: string) => void;
}
