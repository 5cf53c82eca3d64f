// Loaded into an rsiod before it starts (`node --import`): its replay logs take nothing and keep nothing, all else is as it is. What the
// bench compares with; such a client loses data when a server machine crashes. Leaves measuring to log-cost.ts.

import { ReplayLog } from '@rsio/protocol/client/replay/replay-log';

Object.assign(ReplayLog.prototype, {
  reserve: () => 'taken',
  dropped: () => undefined,
  answered: () => undefined,
  flushSent: () => 0,
  flushed: () => undefined,
  opened: () => null,
} satisfies Partial<ReplayLog>);
