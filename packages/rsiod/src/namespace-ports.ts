// Updates the attachments, and reports the change, when a path, a session or an OPEN changes. Invariant: an opened volume is updated before
// its OPEN is reported, so that the report shows the new state.

import { randomBytes } from 'node:crypto';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import type { AttachedList } from './attachments/attached-list.ts';
import type { Attachments } from './attachments/attachments.ts';
import type { Absences } from './control/absences.ts';
import type { Notifications } from './control/notifications.ts';
import type { Frontends } from './frontends/frontends.ts';
import type { Namespace, NamespacePorts } from './network/namespace.ts';
import type { Volume } from './volumes/volume.ts';

export interface DaemonParts {
  readonly clock: Clock;
  readonly log: Log;
  /** `processes`: null if this process has no data processes. */
  readonly role: { readonly processes: object | null; readonly known: NamespacePorts['known']; readonly absences: Pick<Absences, 'shown'> };
  readonly attachments: Attachments;
  readonly attached: AttachedList<Volume>;
  readonly frontends: Frontends;
  readonly notifications: Notifications;
  readonly namespaces: () => readonly Namespace[];
  /** Attaches the volumes that can be attached now that a session has begun. */
  readonly attachAgain: () => Promise<void>;
}

export function namespacePorts({ attachments, attached, frontends, notifications, ...parts }: DaemonParts): NamespacePorts {
  const { clock, log, role, namespaces, attachAgain } = parts;
  return {
    clock,
    log,
    hasDataProcesses: role.processes !== null,
    known: role.known,
    connector: tcpConnector,
    random: randomBytes,
    pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
    serverCount: () => namespaces().reduce((sum, { provedServers }) => sum + provedServers, 0),
    pathChanged: (...change) => {
      attachments.mirrors.look();
      attachments.farm.look();
      notifications.pathChanged(...change);
    },
    events: {
      sessionBegan: (server, again) => {
        notifications.sessionBegan(server, again);
        attachments.mirrors.look();
        void server.refresh(LIST_WAIT_MS).then(() => attachAgain());
      },
      opened: (server, attachment, again, newLife) => {
        attachments.opened(attachment, newLife);
        notifications.opened(server, attachment, again, newLife);
      },
      openFailed: (server, attachment, status, sentence) => {
        notifications.openFailed(server, attachment, sentence);
        attachments.failed(attachment, status, sentence);
        void attached.record();
      },
      openWaits: (...event) => notifications.openWaits(...event),
      listed: ({ namespace, serverid, volumes }) => {
        const namespaceid = namespaces().find(({ config }) => config.name === namespace)?.config.namespaceid;
        if (namespaceid !== undefined) void role.absences.shown({ namespaceid, serverid }, volumes);
        attachments.farm.look();
      },
      grown: (server, attachment, fromBytes) => {
        if (!attachments.mirrors.replicaGrew(attachment)) notifications.grown(server, attachment, fromBytes);
        for (const volume of attachments.list) if (volume.target.attachments.includes(attachment)) void frontends.grown(volume);
      },
    },
  };
}
