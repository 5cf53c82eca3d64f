// Loaded into an rsiod before it starts (`node --import`): its replay logs keep nothing, and everything else is unchanged. Only the bench
// uses a client without logs, for comparison, because this client loses data when a server machine crashes. For the measurement see
// log-cost.ts.

import { ReplayLog } from '@rsio/protocol/client/replay/replay-log';

Object.assign(ReplayLog.prototype, {
  reserve: () => 'taken',
  dropped: () => undefined,
  answered: () => undefined,
  flushSent: () => 0,
  flushed: () => undefined,
  opened: () => null,
} satisfies Partial<ReplayLog>);
