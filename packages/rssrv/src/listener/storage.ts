// Phase 3 of the listener: the served volumes and snapshots, the list of volumes that clients get, and the limits of volumes and clients.
// The sessions begin later, and `sessions` lists them. Invariant: the objects of this phase read the sessions, and change none.

import { giftTo } from '@rsio/common/config/client-rights';
import { fileSystemOf } from '../machine/file-system.ts';
import { systemVoters } from '../mirrors/own-replicas.ts';
import { toInterface } from '../server/listening-sockets.ts';
import { announceList } from '../server/offered-volumes.ts';
import { SharedPools } from '../volumes/holds/shared-pools.ts';
import { ListAnnouncements } from '../server/workers/list-announcements.ts';
import { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { systemAnswers } from '../snapshots/reads/snapshot-answers.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { fullPoolOf, SpaceShortage } from '../volumes/space-shortage.ts';
import { Statistics } from '../volumes/statistics/statistics.ts';
import { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import { Halts } from '../volumes/throttle/halts.ts';
import { Volumes } from '../volumes/volumes.ts';
import type { Foundation } from './foundation.ts';
import type { Holders } from './holders.ts';

export type Storage = ReturnType<typeof newStorage>;

export function newStorage(earlier: Foundation & Holders) {
  const { paths, clock, log, current, records, sessions, holds, pools, farms, ledgers, signals } = earlier;
  const volumes = new Volumes({
    idsFile: paths.volumesFile,
    memoryDirectory: paths.memoryDir,
    fileSystemOf,
    clock,
    log,
    syncFailedLate: signals.syncFailedLate.send,
    isHeld: (id) => holds.holdersOf(id).length > 0,
    holdersOf: (id) => holds.holdersOf(id),
    isNew: (id) => pools.created.has(id),
    incarnationEnded: (id) => records.incarnationsEnded([id]),
    unmarked: signals.volumesUnmarked.send,
  });
  const snapshots = new ServedSnapshots({
    pools,
    holds,
    volumes: () => current.config.volumes,
    opening: () => sessions.opening(clock.wallMs()),
    isOpen: (id, node) => sessions.all.some(({ client, uses }) => client.node === node && uses.isGranted(id)),
    isCopying: (node) => giftTo(node, current.config.rights).opens === 'moments',
  });
  // Announces a new generation of the list, so that the clients request the list.
  const lists = new ListAnnouncements({
    clock,
    volumes: () => volumes.servedCount,
    announce: (grown, seenBy, generation) => {
      announceList(
        sessions.all,
        { interfaces: current.config.interfaces.map(toInterface), generation, grown },
        seenBy,
        current.config.rights,
      );
      signals.listAnnounced.send();
    },
  });
  const halts = new Halts(clock, paths.haltsFile);
  const bandwidth = new Bandwidth({
    clock,
    log,
    halts,
    config: () => current.config,
    sessions,
    volumes,
    heldChanged: (changed) => lists.changed([], changed),
  });
  return {
    volumes,
    snapshots,
    snapshotAnswers: systemAnswers(snapshots, clock),
    servedById: (id: string): ServedVolume | null => volumes.served.find((volume) => volume.id === id) ?? snapshots.byId(id),
    lists,
    shared: new SharedPools({ log, farms, pools, volumes, ledgers }),
    shortage: new SpaceShortage(
      log,
      () => lists.changed([], null),
      (id, poolId) => fullPoolOf(current.config.volumes, id, poolId, pools.space.shortIds),
    ),
    halts,
    bandwidth,
    voters: systemVoters({ folder: paths.votersDir, log, config: () => current.config, served: () => volumes.served }),
    statistics: new Statistics({ clock, sessions, volumes, snapshots, bandwidth }),
  };
}
