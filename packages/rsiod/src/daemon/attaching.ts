// The fifth phase of the objects of rsiod: the attachments, which act on all earlier objects, and hear what servers, data processes and
// gates tell. Invariant: an opened volume is updated before its OPEN is reported, so that the report shows the new state.

import { randomBytes } from 'node:crypto';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import { AttachedList } from '../attachments/attached-list.ts';
import type { AttachedRecord } from '../attachments/attached-record.ts';
import { Attachments } from '../attachments/attachments.ts';
import { RESTORED_AT_ONCE } from '../attachments/limits.ts';
import type { Absences } from '../control/absences.ts';
import type { Notifications } from '../control/notifications.ts';
import type { Frontends } from '../frontends/frontends.ts';
import type { Namespaces } from '../network/namespaces.ts';
import { VOLUMES_AT_ONCE } from '../sys/limits.ts';
import type { Volume } from '../volumes/volume.ts';
import type { ClientDaemonOptions, Foundation } from './foundation.ts';
import type { FrontendsPhase } from './frontends.ts';
import type { ServersPhase } from './servers.ts';
import type { VolumesPhase } from './volumes.ts';

export interface AttachingPhase {
  readonly attachments: Attachments;
  readonly attached: AttachedList<Volume>;
}

export function newAttaching(
  { clock, log, identity }: ClientDaemonOptions,
  earlier: Foundation & ServersPhase & VolumesPhase & FrontendsPhase,
): AttachingPhase {
  const { current, namespaces, notifications, origins, offers, role, volumes, record, frontends, gateOffers, shownTo } = earlier;
  const attachments = new Attachments({
    clock,
    log,
    namespaces,
    offers,
    volumes,
    record,
    frontends,
    reports: notifications,
    random: () => randomBytes(4).readUInt32LE() / 2 ** 32,
    instance: identity.instance,
    elsewhere: role.processes,
    attachesWanted: !role.isData,
    shownTo,
    origins,
  });
  attachments.configure(role.settingsOf(current.config));
  const attached = new AttachedList({
    clock,
    log,
    record,
    attachments,
    frontends,
    reports: notifications,
    current,
    restoredAtOnce: Math.max(VOLUMES_AT_ONCE, role.share(RESTORED_AT_ONCE)),
  });
  gateOffers.taken.listen((...volume) =>
    // Record the volume, so that the next process attaches it again before that process lets hosts in.
    attachments.takeOver(...volume).finally(() => void record.save()),
  );
  role.dataReached.listen(() => void attachments.attachWanted(false));
  hearServers({
    ...earlier,
    attachments,
    sessionBegan: async () => {
      await attached.attachAll(false);
      role.reached();
    },
  });
  return { attachments, attached };
}

interface ServerNews {
  readonly namespaces: Namespaces;
  readonly absences: Pick<Absences, 'shown'>;
  readonly attachments: Attachments;
  readonly record: Pick<AttachedRecord<Volume>, 'save'>;
  readonly frontends: Frontends;
  readonly notifications: Notifications;
  /** Called when a session has begun and its server has sent its list. */
  readonly sessionBegan: () => Promise<void>;
}

/** Updates the attachments, and reports the change, when a path, a session or an OPEN changes. */
export function hearServers({ namespaces, absences, attachments, record, frontends, notifications, sessionBegan }: ServerNews): void {
  const { servers } = namespaces;
  namespaces.pathChanged.listen((...change) => {
    attachments.mirrors.look();
    attachments.farm.look();
    notifications.pathChanged(...change);
  });
  servers.sessionBegan.listen((server, again) => {
    notifications.sessionBegan(server, again);
    attachments.mirrors.look();
    void server.refresh(LIST_WAIT_MS).then(() => sessionBegan());
  });
  servers.opened.listen((server, attachment, again, newLife) => {
    attachments.opened(attachment, newLife);
    notifications.opened(server, attachment, again, newLife);
  });
  servers.openFailed.listen((server, attachment, status, sentence) => {
    notifications.openFailed(server, attachment, sentence);
    attachments.failed(attachment, status, sentence);
    void record.save();
  });
  servers.openWaits.listen((...event) => notifications.openWaits(...event));
  servers.listed.listen(({ namespace, serverid, volumes }) => {
    const namespaceid = namespaces.list.find(({ config }) => config.name === namespace)?.config.namespaceid;
    if (namespaceid !== undefined) void absences.shown({ namespaceid, serverid }, volumes);
    attachments.farm.look();
  });
  servers.grown.listen((server, attachment, fromBytes) => {
    if (!attachments.mirrors.replicaGrew(attachment)) notifications.grown(server, attachment, fromBytes);
    for (const volume of attachments.list) if (volume.target.attachments.includes(attachment)) void frontends.grown(volume);
  });
}
