// What a backend needs from outside: time, the helpers that the backends of a process share, and a way to report system errors, because its
// caller gets only a status.

import type { Clock } from '@rsio/common/lib/clock';
import type { RangeHelper } from '../ranges/range-helper.ts';
import type { ThreadShares } from '../io/thread-shares.ts';

export type BackendOperation = 'read' | 'write' | 'flush' | 'discard' | 'zero' | 'extents' | 'close';

export interface BackendPorts {
  readonly clock: Clock;
  /** How often this process has slept; 0 if unknown (inline-policy.ts). */
  readonly sleeps: () => number;
  readonly helper: RangeHelper;
  /** The threads of this process, shared by all open volumes. */
  readonly threads: ThreadShares;
  /** Called when the storage failed. `errno`: a name such as `EIO`, or `SHORT_READ` if the file is shorter than the volume. */
  readonly onError: (operation: BackendOperation, errno: string) => void;
}
