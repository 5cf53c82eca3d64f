// The ports of a backend: time, the helpers that all backends of a process share, and a way to report system errors. The backend's caller
// gets only a status.

import type { Clock } from '@rsio/common/lib/clock';
import type { RangeHelper } from '../ranges/range-helper.ts';
import type { ThreadShares } from '../io/thread-shares.ts';

export type BackendOperation = 'read' | 'write' | 'flush' | 'discard' | 'zero' | 'extents' | 'close';

export interface BackendPorts {
  readonly clock: Clock;
  /** Number of times this process has slept; 0 if unknown (inline-policy.ts). */
  readonly sleeps: () => number;
  readonly helper: RangeHelper;
  /** The threads of this process, shared by all open volumes. */
  readonly threads: ThreadShares;
  /** Called when the storage has failed. `errno`: a name such as `EIO`, or `SHORT_READ` if the file is shorter than the volume. */
  readonly onError: (operation: BackendOperation, errno: string) => void;
}
