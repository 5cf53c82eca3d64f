// The methods of rsiod's control socket. Each method passes the request to the module that executes it, or answers with a view from
// views.ts. Invariant: this file decides nothing; each module decides how its own state changes.

import { randomUUID } from 'node:crypto';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { MIRROR_METHODS } from '@rsio/api/rsiod/mirror-methods';
import { CONTROL_VERSION } from '@rsio/common/control/method-table';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { programVersion } from '@rsio/base/lib/version';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import { TAKE } from '@rsio/protocol/wire/messages';
import { isOffer } from '../attachments/offers.ts';
import type { AttachedList } from '../attachments/attached-list.ts';
import type { AttachedRecord } from '../attachments/attached-record.ts';
import type { Origins } from '../attachments/volume-origins.ts';
import type { Attachments } from '../attachments/attachments.ts';
import type { Backups } from './backups.ts';
import type { CommandWorks } from './command-works.ts';
import type { CurrentConfig } from '../network/current-config.ts';
import type { Namespaces } from '../network/namespaces.ts';
import type { GateFrontends } from '../frontends/gate-frontends.ts';
import type { Frontends } from '../frontends/frontends.ts';
import type { ClientSnapshots } from './client-snapshots.ts';
import type { MirrorChanges } from '../mirrors/commands/changes.ts';
import type { MirrorAccessOrders } from '../mirrors/commands/access.ts';
import type { MirrorSnapshots } from '../mirrors/commands/snapshots.ts';
import type { MirrorForcing } from '../mirrors/commands/forcing.ts';
import type { MirrorManagement } from '../mirrors/commands/management.ts';
import type { VolumeNotes } from '../notes/volume-notes.ts';
import { PERSON } from '../attachments/owners.ts';
import { orderHandlers } from './order-handlers.ts';
import { Messages } from './messages.ts';
import type { Notifications } from './notifications.ts';
import type { PathProbes } from './path-probes.ts';
import type { ServerCalls } from './server-calls.ts';
import { attachmentView, namespaceViews, statsView, statusView } from './views.ts';
import type { Volume } from '../volumes/volume.ts';

export interface ControlHandlersPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly beganMs: number;
  readonly attachments: Attachments;
  readonly attached: AttachedList<Volume>;
  readonly record: AttachedRecord<Volume>;
  readonly notifications: Notifications;
  readonly probes: PathProbes;
  readonly serverCalls: ServerCalls;
  readonly snapshots: ClientSnapshots;
  readonly backups: Backups;
  readonly works: CommandWorks;
  readonly origins: Pick<Origins, 'copiesIn'>;
  readonly mirrors: MirrorManagement;
  readonly mirrorChanges: MirrorChanges;
  readonly forcing: MirrorForcing;
  readonly mirrorSnapshots: MirrorSnapshots;
  readonly mirrorAccess: MirrorAccessOrders;
  readonly notes: VolumeNotes;
  readonly current: CurrentConfig;
  readonly namespaces: Namespaces;
  readonly frontends: Frontends;
  readonly gates: Pick<GateFrontends, 'views' | 'placesOf'>;
  readonly reloads: {
    /** Reloads the configuration and returns one sentence for each change. If it throws an error, the daemon is unchanged. */
    reload(): Promise<string[]>;
  };
  readonly ends: {
    /** Throws E_SHUTTING_DOWN, E_SYSTEM and E_IN_USE. */
    restart(): Promise<void>;
    /** Throws E_IN_USE. */
    end(isForced: boolean): Promise<void>;
  };
}

/** The values of the parameter `take`. */
export const TAKES = { no: TAKE.NO, over: TAKE.OVER, force: TAKE.FORCE } as const;

export function controlHandlers(ports: ControlHandlersPorts): ControlHandlers {
  const { clock, attachments, record, frontends, notifications, probes, namespaces } = ports;
  const lists = (): Promise<unknown> =>
    Promise.all(namespaces.list.flatMap(({ servers }) => [...servers.values()].map((server) => server.refresh(LIST_WAIT_MS))));
  const messages = new Messages({ clock, namespaces, newId: randomUUID });
  const handlers: ControlHandlers = {
    daemon: () => ({
      program: 'rsiod',
      version: programVersion(),
      control: CONTROL_VERSION,
      methods: Object.keys(handlers),
      pid: process.pid,
      nodename: ports.current.config.namespaces[0]?.nodename ?? '',
      startedMs: ports.beganMs,
      configuredMs: ports.current.sinceMs,
    }),
    query: async ({ refresh }) => {
      if (refresh) await lists();
      return { namespaces: namespaceViews(namespaces.list, (name) => ports.origins.copiesIn(name, attachments.offers)) };
    },
    local: ({ orders = false }) => ({
      attachments: attachments.list.flatMap((volume) => {
        if (volume.shownTo === 'orders' && !orders) return [];
        const offers = attachments.offers.filter((offer) => isOffer(offer, volume));
        return { ...attachmentView(volume, frontends.shownAs(volume), offers), gates: ports.gates.placesOf(volume) };
      }),
      awaited: record.awaited,
    }),
    ...attachHandlers(ports, lists),
    status: () => {
      const mirrors = attachments.list.flatMap(({ target }) => attachments.mirrors.of(target)?.status ?? []);
      return { ...statusView(ports.current.config, namespaces.list, attachments.list, mirrors, clock), awaited: record.awaited };
    },
    progress: () => ({
      progress: [...attachments.list.flatMap(({ target }) => attachments.mirrors.of(target)?.progress ?? []), ...ports.works.list],
    }),
    'progress-note': (note) => {
      ports.works.note(note);
      return {};
    },
    stats: () => statsView(namespaces.list, attachments.list),
    gates: () => ports.gates.views(),
    events: (wanted) => notifications.read(wanted),
    reload: async () => ({ applied: await ports.reloads.reload() }),
    restart: async () => {
      await ports.ends.restart();
      return {};
    },
    stop: async ({ force }) => {
      await ports.ends.end(force);
      return {};
    },
    probe: (request) => probes.measure(request),
    'server-call': (request) => ports.serverCalls.call(request),
    'snapshot-begin': (request) => ports.snapshots.begin(request),
    'snapshot-end': (request) => ports.snapshots.end(request),
    backups: () => ({ backups: ports.backups.list }),
    'backup-done': async (request) => {
      await ports.backups.done(request);
      return {};
    },
    'await-volume': (request) => ports.serverCalls.awaitVolume(request),
    'volume-note': (request) => ports.notes.read(request),
    'volume-note-set': (request) => ports.notes.write(request),
    'nodes-seen': (request) => ports.notes.seen(request),
    'message-send': (request) => messages.send(request),
    messages: (request) => messages.read(request),
    ...mirrorHandlers(ports),
  };
  return handlers;
}

function attachHandlers(
  { attached, log }: ControlHandlersPorts,
  lists: () => Promise<unknown>,
): Pick<ControlHandlers, 'attach' | 'detach' | 'order-attach' | 'order-detach'> {
  return {
    attach: async ({ names, readOnly, server, take, owner = PERSON.name }) => {
      if (take !== 'no' && names.length === 0)
        throw new RsError('E_USAGE', 'A take-over takes volumes from their holders: name the volumes');
      await lists();
      return { outcomes: await attached.attach(names, readOnly, server, TAKES[take], undefined, { kind: 'lasting', name: owner }) };
    },
    detach: async ({ names, force, owner = null }) => ({ outcomes: await attached.detach(names, force, owner) }),
    ...orderHandlers({
      log: log,
      attachFor: async (...order) => {
        await lists();
        return await attached.attachFor(...order);
      },
      endOrder: (...ended) => attached.endOrder(...ended),
    }),
  };
}

function mirrorHandlers(ports: ControlHandlersPorts): Pick<ControlHandlers, keyof typeof MIRROR_METHODS> {
  const { mirrors } = ports.attachments;
  return {
    mirrors: (request) => ports.mirrors.list(request),
    'mirror-create': (request) => ports.mirrors.create(request),
    'mirror-remove': (request) => ports.mirrors.remove(request),
    'mirror-grow': (request) => ports.mirrors.grow(request),
    'mirror-add': (request) => ports.mirrorChanges.add(request),
    'mirror-detach': (request) => ports.mirrorChanges.detach(request),
    'mirror-replace': (request) => ports.mirrorChanges.replace(request),
    'mirror-witness': (request) => ports.mirrorChanges.witness(request),
    'mirror-snapshot': (request) => ports.mirrorSnapshots.make(request, false),
    'mirror-revoke': (request) => ports.mirrorAccess.revoke(request),
    'mirror-allow': (request) => ports.mirrorAccess.allow(request),
    'mirror-force': (request) => ports.forcing.force(request),
    'mirror-verify': ({ repair, from, ...named }) => {
      const mirror = mirrors.named(named);
      mirror.verify(repair, from);
      return { verification: mirror.verification };
    },
    'mirror-verification': (named) => ({ verification: mirrors.named(named).verification }),
    'mirror-verify-stop': (named) => {
      const mirror = mirrors.named(named);
      mirror.stopVerifying();
      return { verification: mirror.verification };
    },
  };
}
