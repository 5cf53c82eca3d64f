// Phase 4 of the listener: what keeps the content of volumes true for their clients: the incarnations of their storage, the moments of
// snapshots, and the gate records. Rules: V1.

import { Incarnations } from '../server/incarnations.ts';
import { incarnationOf } from '../server/run-records.ts';
import { Moments } from '../snapshots/moments.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { GateRecords } from '../volumes/holds/gate-records.ts';
import type { Foundation } from './foundation.ts';
import type { Holders } from './holders.ts';
import type { Storage } from './storage.ts';

export type Content = ReturnType<typeof newContent>;

export function newContent(earlier: Foundation & Holders & Storage) {
  const { clock, log, limitedLog, identity, records, sessions, signals } = earlier;
  const { holds, fences, pools, volumes, servedById, lists, shared } = earlier;
  const incarnations = new Incarnations({ log, volumes, records, sessions, holds, lists });
  signals.syncFailedLate.listen((id) => void incarnations.lost(id));
  const incarnationOfServed = (volume: ServedVolume | null): string => incarnationOf(volume, records, identity.instance);
  const moments = new Moments({
    clock,
    log,
    sessions,
    volumes,
    holds,
    incarnationOf: (id) => incarnationOfServed(servedById(id)),
    lost: (id) => void incarnations.lost(id),
  });
  const gateRecords = new GateRecords({ log, limitedLog, holds, volumes, pools, fences, shared });
  return { incarnations, incarnationOf: incarnationOfServed, moments, gateRecords };
}
