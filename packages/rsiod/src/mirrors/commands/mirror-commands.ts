// Creates the objects that execute the commands about mirrors. The interface MirrorCommands names the file of each command. Invariant: an
// attached mirror is found by its label, such as osl:db@0.

import type { AttachedMirrorView } from '@rsio/api/views/mirror-views';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { Attachments } from '../../attachments/attachments.ts';
import { labelOf } from '../../attachments/offers.ts';
import type { Namespaces } from '../../network/namespaces.ts';
import type { Volume } from '../../volumes/volume.ts';
import type { AttachedMirror } from '../attached-mirror.ts';
import { MirrorAccessOrders } from './access.ts';
import { MirrorChanges } from './changes.ts';
import { MirrorForcing } from './forcing.ts';
import { MirrorManagement } from './management.ts';
import { mirrorNamespaces } from './namespaces.ts';
import { MirrorMoments } from './mirror-moments.ts';
import { MirrorSnapshots } from './snapshots.ts';

export interface MirrorCommandsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly namespaces: Pick<Namespaces, 'list'>;
  readonly attachments: Pick<Attachments, 'list' | 'mirrors'>;
  readonly newId: () => string;
  /** The volumes and mirrors that data processes have attached; null if there are none. */
  readonly elsewhere: MirrorsElsewhere | null;
}

export interface MirrorsElsewhere {
  readonly volumes: readonly { readonly namespace: string; readonly name: string; readonly universe: number; readonly id: string }[];
  /** The attached mirrors, as they were reported last. */
  readonly mirrors: readonly AttachedMirrorView[];
}

/** The command `mirror verify` is missing here, because attached-mirror.ts executes it. */
export interface MirrorCommands {
  /** create (creation.ts), remove (removal.ts), grow (growth.ts), list (survey.ts asks servers, verdicts.ts judges, views.ts converts). */
  readonly mirrors: MirrorManagement;
  /**
   * add, replace and witness (new-server.ts prepares the new server), detach (remains.ts finds what a server has, clearing.ts removes it),
   * and add to a plain volume (conversion.ts, creation.ts). change.ts finds the mirror for each of them.
   */
  readonly mirrorChanges: MirrorChanges;
  /** force (force-plan.ts plans, force.ts executes). */
  readonly forcing: MirrorForcing;
  readonly mirrorSnapshots: MirrorSnapshots;
  /** The moments of replications, without a command (mirror-moments.ts). */
  readonly mirrorMoments: MirrorMoments;
  /** revoke and allow (access.ts). */
  readonly mirrorAccess: MirrorAccessOrders;
}

export function mirrorCommands({ clock, log, attachments, newId, namespaces, elsewhere }: MirrorCommandsPorts): MirrorCommands {
  const { mirrors } = attachments;
  const volumeAt = (label: string): Volume | undefined => attachments.list.find((volume) => labelOf(volume) === label);
  const ports = {
    clock,
    log,
    newId,
    mirrors,
    namespaces: () => mirrorNamespaces(namespaces.list, clock),
    mirrorAt: (label: string): AttachedMirror | null => {
      const volume = volumeAt(label);
      return volume === undefined ? null : mirrors.of(volume.target);
    },
    isAttached: (label: string, mirror: string | null = null): boolean => {
      const volume = volumeAt(label) ?? elsewhere?.volumes.find((one) => labelOf(one) === label);
      return volume !== undefined && (mirror === null || volume.id === mirror);
    },
  };
  const statusAt = (label: string): AttachedMirrorView | null =>
    ports.mirrorAt(label)?.status ?? elsewhere?.mirrors.find(({ volume }) => volume === label) ?? null;
  const management = new MirrorManagement({ ...ports, statusAt });
  const mirrorSnapshots = new MirrorSnapshots({ ...ports, management });
  return {
    mirrors: management,
    mirrorChanges: new MirrorChanges({ ...ports, management }),
    forcing: new MirrorForcing(ports),
    mirrorSnapshots,
    mirrorMoments: new MirrorMoments({ ...ports, snapshots: mirrorSnapshots }),
    mirrorAccess: new MirrorAccessOrders({ ...ports, management }),
  };
}
