// Puts together what the control methods about mirrors need: the commands that make, list and dissolve mirrors, and those that change attached
// ones. Invariant: a mirror is found by the label under which users see it, such as osl:db@0.

import type { Clock } from '@rsio/common/lib/clock';
import type { Log } from '@rsio/common/log/log';
import type { Attachments } from '../../attachments/attachments.ts';
import { labelOf } from '../../attachments/offers.ts';
import type { Namespace } from '../../network/namespace.ts';
import type { Volume } from '../../volumes/volume.ts';
import type { AttachedMirror } from '../attached-mirror.ts';
import { MirrorForcing } from '../forcing/forcing.ts';
import { convertVolume } from '../management/conversion.ts';
import { MirrorManagement, type MirrorNamespace, mirrorNamespaces } from '../management/management.ts';
import { MirrorChanges } from './changes.ts';
import { heldMirror } from './held-mirror.ts';
import { MirrorSnapshots } from './snapshots.ts';

export interface MirrorCommandsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  namespaces(): readonly Namespace[];
  readonly attachments: Pick<Attachments, 'list' | 'mirrors'>;
  /** Returns a new random UUID. */
  readonly newId: () => string;
}

export interface MirrorCommands {
  readonly mirrors: MirrorManagement;
  readonly mirrorChanges: MirrorChanges;
  readonly forcing: MirrorForcing;
  readonly mirrorSnapshots: MirrorSnapshots;
}

export function mirrorCommands(ports: MirrorCommandsPorts): MirrorCommands {
  const { clock, log, attachments, newId } = ports;
  const volumeAt = (label: string): Volume | undefined => attachments.list.find((volume) => labelOf(volume) === label);
  const mirrorAt = (label: string): AttachedMirror | null => {
    const volume = volumeAt(label);
    return volume === undefined ? null : attachments.mirrors.of(volume.target);
  };
  const isAttached = (label: string, mirror: string | null = null): boolean => {
    const volume = volumeAt(label);
    return volume !== undefined && (mirror === null || volume.id === mirror);
  };
  const namespaces = (): readonly MirrorNamespace[] => mirrorNamespaces(ports.namespaces(), clock);
  const mirrors = new MirrorManagement({
    log,
    namespaces,
    isAttached,
    attached: (label) => attachments.mirrors.serving(label),
    attachedMirror: (label) => mirrorAt(label)?.status ?? null,
    newId,
  });
  const mirrorChanges = new MirrorChanges({
    clock,
    log,
    management: mirrors,
    heldMirror: (label) => {
      const mirror = mirrorAt(label);
      return mirror === null ? null : heldMirror(mirror);
    },
    convert: (params) => convertVolume({ log, management: mirrors, isAttached: (label) => volumeAt(label) !== undefined, newId }, params),
    newId,
  });
  const forcing = new MirrorForcing({ log, namespaces, isAttached, newMirror: () => newId().replaceAll('-', '') });
  const mirrorSnapshots = new MirrorSnapshots({
    clock,
    log,
    newId,
    management: mirrors,
    named: (named) => attachments.mirrors.named(named),
  });
  return { mirrors, mirrorChanges, forcing, mirrorSnapshots };
}
