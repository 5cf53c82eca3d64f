// The commands about mirrors: makes the objects that the control methods call. MirrorCommands says which file has which command.
// Invariant: a mirror is found by the label under which users see it, such as osl:db@0.

import type { Clock } from '@rsio/common/lib/clock';
import type { Log } from '@rsio/common/log/log';
import type { Attachments } from '../../attachments/attachments.ts';
import { labelOf } from '../../attachments/offers.ts';
import type { Namespace } from '../../network/namespace.ts';
import type { Volume } from '../../volumes/volume.ts';
import type { AttachedMirror } from '../attached-mirror.ts';
import { MirrorChanges } from './changes.ts';
import { MirrorForcing } from './forcing.ts';
import { MirrorManagement } from './management.ts';
import { mirrorNamespaces } from './namespaces.ts';
import { MirrorSnapshots } from './snapshots.ts';

export interface MirrorCommandsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly namespaces: () => readonly Namespace[];
  readonly attachments: Pick<Attachments, 'list' | 'mirrors'>;
  /** Returns a new random UUID. */
  readonly newId: () => string;
}

/** `mirror verify` is no command of this room: the attached mirror does it. */
export interface MirrorCommands {
  /** create (creation.ts), remove (removal.ts), grow (growth.ts), list (survey.ts asks the servers, verdicts.ts judges, views.ts shows). */
  readonly mirrors: MirrorManagement;
  /**
   * add, replace, witness (new-server.ts makes what the server needs), detach (clearing.ts removes what a server has, remains.ts finds it),
   * and add to a plain volume (conversion.ts, creation.ts). change.ts: the mirror that is changed.
   */
  readonly mirrorChanges: MirrorChanges;
  /** force (force-plan.ts decides, force.ts does it). */
  readonly forcing: MirrorForcing;
  /** snapshot. */
  readonly mirrorSnapshots: MirrorSnapshots;
}

export function mirrorCommands({ clock, log, attachments, newId, namespaces }: MirrorCommandsPorts): MirrorCommands {
  const { mirrors } = attachments;
  const volumeAt = (label: string): Volume | undefined => attachments.list.find((volume) => labelOf(volume) === label);
  const ports = {
    ...{ clock, log, newId, mirrors },
    namespaces: () => mirrorNamespaces(namespaces(), clock),
    mirrorAt: (label: string): AttachedMirror | null => {
      const volume = volumeAt(label);
      return volume === undefined ? null : mirrors.of(volume.target);
    },
    isAttached: (label: string, mirror: string | null = null): boolean => {
      const volume = volumeAt(label);
      return volume !== undefined && (mirror === null || volume.id === mirror);
    },
  };
  const management = new MirrorManagement(ports);
  return {
    mirrors: management,
    mirrorChanges: new MirrorChanges({ ...ports, management }),
    forcing: new MirrorForcing(ports),
    mirrorSnapshots: new MirrorSnapshots({ ...ports, management }),
  };
}
