// The limits of all volumes and clients, in the listener. Tells each session its limits, divides the limit of a volume among the sessions
// that have it open, and the limit of a client among its sessions (share-book.ts). Records what holds the I/O of each session. Invariants:
// a session receives the limits of a volume before the answer to its OPEN. A session that has ended has no share. A volume without limits
// and halts has no share book, and a client without limits has no share book either.

import { limitsOrNull, type IoLimits } from '@rsio/common/config/schema/io-limits';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '@rsio/base/log/log';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { eventOf } from '../../events/event-log.ts';
import type { Volumes } from '../volumes.ts';
import type { HaltFacts, Halts } from './halts.ts';
import { HELD_REPORTS, SHARE_CONFIRM_MS, SHARE_PLAN_MS, SHARE_REPORTERS, SHARE_REPORT_MS } from '../limits.ts';
import { ShareBook, type Share, type ShareOrder } from './share-book.ts';
import { ALL_VOLUMES, type HeldBy, type ThrottleMessage, type ThrottleReport } from './throttle-messages.ts';
import { printSize } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';

/** Volume ids have no blanks, so this prefix keeps the keys of clients apart from volume ids. */
const CLIENT_PREFIX = 'client ';

export interface LimitedSession {
  readonly id: string;
  readonly client: { readonly node: string };
  readonly uses: { has(volumeId: string): boolean };
  readonly workerSession: { send(message: ThrottleMessage): void };
}

export interface BandwidthPorts {
  readonly clock: Clock;
  readonly halts: Halts;
  /** Returns the configuration in force. `volumes` includes the volumes of the pools. */
  config(): Pick<RssrvConfig, 'volumes' | 'rights'>;
  readonly sessions: { readonly all: readonly LimitedSession[] };
  readonly log: Pick<Log, 'info'>;
  readonly volumes: Pick<Volumes, 'standing' | 'served' | 'nameOf'>;
  /** Called when clients must receive a new text that says what holds the I/O of these volumes. */
  heldChanged(volumes: readonly ServedVolume[]): void;
}

/** The part about limits in a session's report on a volume. */
interface HeldVolume {
  readonly volumeId: string;
  readonly heldBy: HeldBy | null;
}

interface Held {
  /** Number of successive reports that differ from `text`. */
  reports: number;
  text: string | null;
}

export class Bandwidth {
  private readonly ports: BandwidthPorts;
  /** Keyed by volume id, or by the key of a client. */
  private readonly books = new Map<string, ShareBook>();
  /** The limits in force, keyed by volume id, or by the key of a client. A volume or client without limits has no entry. */
  private limits: ReadonlyMap<string, IoLimits> = new Map();
  /** What holds the I/O: maps a session id to a map from volume id to the text. */
  private readonly held = new Map<string, Map<string, Held>>();
  private number = 0;
  private expiry: Timer | null = null;
  /** Timers of the volumes whose limit will be divided again, keyed by volume id. */
  private readonly plans = new Map<string, { readonly atMs: number; readonly timer: Timer }>();

  constructor(ports: BandwidthPorts) {
    this.ports = ports;
    ports.halts.changed = (volumeId, isOver) => this.haltChanged(volumeId, isOver);
  }

  limitsOf(volumeId: string): IoLimits | null {
    return this.limits.get(volumeId) ?? null;
  }

  clientLimits(node: string): IoLimits | null {
    return limitsOrNull(this.ports.config().rights.find(({ name }) => name === node)?.limits);
  }

  /** Must be called for a new session. Before this call, only the message that begins the session may be sent to the session. */
  began({ id, client }: LimitedSession): void {
    const key = clientKey(client.node);
    if (this.isLimited(key)) this.tell(key, this.bookOf(key).add(id, this.nowMs()));
  }

  /** Must be called when a session is granted a volume, before its OPEN is answered. */
  granted({ id }: LimitedSession, volumeId: string): void {
    if (!this.isLimited(volumeId)) return;
    this.tell(volumeId, this.bookOf(volumeId).add(id, this.nowMs()));
  }

  report({ id, client }: LimitedSession, report: ThrottleReport): void {
    const keyOf = (volumeId: string): string => (volumeId === ALL_VOLUMES ? clientKey(client.node) : volumeId);
    if (report.what === 'used') {
      for (const use of report.volumes) {
        const key = keyOf(use.volumeId);
        const [limits, book] = [this.limits.get(key), this.books.get(key)];
        if (limits === undefined || book === undefined) continue;
        book.used(id, useOf(use, limits, report.overMs));
        this.planLater(key, reportMs(book.size));
      }
      return;
    }
    const { number } = report;
    const key = keyOf(report.volumeId);
    const book = this.books.get(key);
    if (book === undefined) return;
    if (report.what === 'unused') {
      this.tell(key, book.remove(id, number, this.nowMs()));
      if (book.size === 0) this.books.delete(key);
      return;
    }
    book.confirmed(id, number);
    if (book.size > 1) this.planLater(key, SHARE_PLAN_MS);
  }

  sessionEnded(id: string): void {
    this.held.delete(id);
    for (const [volumeId, book] of [...this.books]) {
      this.tell(volumeId, book.remove(id, Number.POSITIVE_INFINITY, this.nowMs()));
      if (book.size === 0) this.books.delete(volumeId);
    }
  }

  /** Must be called when the configuration has changed. Tells the sessions the limits that have changed. */
  refresh(): void {
    const before = this.limits;
    this.limits = this.configured();
    for (const id of new Set([...before.keys(), ...this.limits.keys()]))
      if (!isDeepStrictEqual(before.get(id), this.limits.get(id))) this.tellAll(id);
  }

  /** Takes the report of a session. Clients learn that their I/O is held, or is no longer held, after HELD_REPORTS equal reports. */
  figures(session: string, node: string, { volumes }: { readonly volumes: readonly HeldVolume[] }): void {
    const known = this.held.get(session) ?? new Map<string, Held>();
    const changed: string[] = [];
    const reported = new Map(volumes.map((volume) => [volume.volumeId, volume.heldBy]));
    for (const volumeId of new Set([...known.keys(), ...reported.keys()])) {
      const by = reported.get(volumeId) ?? null;
      const text = this.textOf(node, volumeId, by);
      const one = known.get(volumeId) ?? { reports: 0, text: null };
      one.reports = text === one.text ? 0 : one.reports + 1;
      if (one.reports >= HELD_REPORTS) {
        Object.assign(one, { reports: 0, text });
        changed.push(volumeId);
      }
      if (one.text === null && one.reports === 0) known.delete(volumeId);
      else known.set(volumeId, one);
    }
    if (known.size > 0) this.held.set(session, known);
    else this.held.delete(session);
    if (changed.length > 0) this.heldChanged(changed);
  }

  /** Returns a text for `by` that completes "held by" for the I/O of a client on a volume. */
  textOf(node: string, volumeId: string, by: HeldBy | null): string | null {
    return by === null ? null : heldText(by, this.limitsOf(volumeId), this.clientLimits(node), this.ports.halts.facts(volumeId));
  }

  /**
   * Returns a text that says what holds the I/O of a session on a volume; null if nothing holds it. A stop or pause is shown at once,
   * without waiting for reports.
   */
  heldBy(session: string, volumeId: string): string | null {
    const halt = this.ports.halts.facts(volumeId);
    if (halt !== null) return heldText(halt.kind === 'paused' ? 'pause' : 'stop', null, null, halt);
    return this.held.get(session)?.get(volumeId)?.text ?? null;
  }

  close(): void {
    this.expiry?.cancel();
    for (const { timer } of this.plans.values()) timer.cancel();
    this.ports.halts.close();
  }

  private configured(): ReadonlyMap<string, IoLimits> {
    const limits = new Map<string, IoLimits>();
    for (const volume of this.ports.config().volumes) {
      const own = limitsOrNull(volume.limits);
      const id = own === null ? null : this.ports.volumes.standing(volume).id;
      if (own !== null && id !== null) limits.set(id, own);
    }
    for (const { name, limits: given } of this.ports.config().rights) {
      const own = limitsOrNull(given);
      if (own !== null) limits.set(clientKey(name), own);
    }
    return limits;
  }

  private haltChanged(volumeId: string, isOver: boolean): void {
    this.tellAll(volumeId);
    this.heldChanged([volumeId]);
    if (!isOver) return;
    const name = this.ports.volumes.nameOf(volumeId);
    this.ports.log.info(
      `Volume ${name}: its I/O goes on, because the time of its pause is over`,
      eventOf(`volume ${name}`, 'paused', 'served', 'The time of its pause is over'),
    );
  }

  private heldChanged(volumeIds: readonly string[]): void {
    this.ports.heldChanged(this.ports.volumes.served.filter(({ id }) => volumeIds.includes(id)));
  }

  private isLimited(volumeId: string): boolean {
    return this.limits.has(volumeId) || this.ports.halts.of(volumeId) !== null;
  }

  private bookOf(volumeId: string): ShareBook {
    const book = this.books.get(volumeId) ?? new ShareBook(() => this.number++);
    this.books.set(volumeId, book);
    return book;
  }

  /** Sends the current limits and halt to all sessions that have the volume open. */
  private tellAll(volumeId: string): void {
    const nowMs = this.nowMs();
    const known = this.books.get(volumeId);
    if (known !== undefined) this.tell(volumeId, known.tellAgain(nowMs));
    if (!this.isLimited(volumeId)) {
      this.books.delete(volumeId);
      return;
    }
    const there = new Set(known?.sessions);
    for (const { id, uses, client } of this.ports.sessions.all)
      if (!there.has(id) && (uses.has(volumeId) || clientKey(client.node) === volumeId))
        this.tell(volumeId, this.bookOf(volumeId).add(id, nowMs));
  }

  private tell(volumeId: string, orders: readonly ShareOrder[]): void {
    if (orders.length === 0) return;
    const limits = this.limitsOf(volumeId);
    const halt = this.ports.halts.of(volumeId);
    const sessions = new Map(this.ports.sessions.all.map((session) => [session.id, session]));
    const users = this.books.get(volumeId)?.size ?? 1;
    for (const { session, number, isDivided, ...share } of orders)
      sessions.get(session)?.workerSession.send({
        type: 'throttle',
        volumeId: isClientKey(volumeId) ? ALL_VOLUMES : volumeId,
        number,
        setting: {
          rates: limits === null ? null : shareOf(limits, share),
          reportMs: isDivided && limits !== null ? reportMs(users) : null,
          halt,
        },
      });
    this.expireLater();
  }

  /** Divides the limit of a volume again after this time, or at the time of a division that is already planned, whichever is earlier. */
  private planLater(volumeId: string, afterMs: number): void {
    const { clock } = this.ports;
    const atMs = this.nowMs() + afterMs;
    const known = this.plans.get(volumeId);
    if (known !== undefined && known.atMs <= atMs) return;
    known?.timer.cancel();
    const timer = clock.after(afterMs, () => {
      this.plans.delete(volumeId);
      this.tell(volumeId, this.books.get(volumeId)?.plan(this.nowMs()) ?? []);
    });
    this.plans.set(volumeId, { atMs, timer });
  }

  private expireLater(): void {
    if (this.expiry !== null || ![...this.books.values()].some(({ isAwaiting }) => isAwaiting)) return;
    this.expiry = this.ports.clock.after(SHARE_CONFIRM_MS, () => {
      this.expiry = null;
      for (const [volumeId, book] of [...this.books]) this.tell(volumeId, book.expire(this.nowMs()));
      this.expireLater();
    });
  }

  private nowMs(): number {
    return this.ports.clock.monotonicMs();
  }
}

function clientKey(node: string): string {
  return `${CLIENT_PREFIX}${node}`;
}

function isClientKey(key: string): boolean {
  return key.startsWith(CLIENT_PREFIX);
}

/** Returns the interval in ms at which the sessions of a volume report, if this number of sessions has the volume open. */
function reportMs(sessions: number): number {
  return SHARE_REPORT_MS * Math.ceil(sessions / SHARE_REPORTERS);
}

function shareOf({ iops, bytesPerSecond, burstMs }: IoLimits, { requests, bytes }: Share): IoLimits {
  return {
    iops: iops === null ? null : iops * requests,
    bytesPerSecond: bytesPerSecond === null ? null : bytesPerSecond * bytes,
    burstMs,
  };
}

/**
 * Returns which part of each limit the session has used: 0 if there is no limit, and Infinity if the session wants more than its
 * share.
 */
function useOf(
  { requests, bytes, isHungry }: { readonly requests: number; readonly bytes: number; readonly isHungry: boolean },
  { iops, bytesPerSecond }: IoLimits,
  overMs: number,
): Share {
  const part = (used: number, limit: number | null): number =>
    limit === null ? 0 : isHungry ? Number.POSITIVE_INFINITY : used / ((limit * Math.max(1, overMs)) / 1_000);
  return { requests: part(requests, iops), bytes: part(bytes, bytesPerSecond) };
}

// Makes the text that completes "held by" for the I/O of a client on a volume. The client receives the text in its list of volumes. Pure.
// Invariant: the text is no longer than a short text of the protocol.
/** `own`: limits of the volume. `ofClient`: limits of the client. */
function heldText(by: HeldBy | 'stop', own: IoLimits | null, ofClient: IoLimits | null, halt: HaltFacts | null): string {
  switch (by) {
    case 'stop':
      return 'a stop by an administrator of the server';
    case 'pause':
      return halt?.untilMs === undefined || halt.untilMs === null ? 'a pause' : `a pause until ${formatTime(halt.untilMs)}`;
    case 'iops':
      return limitText('its', iopsText(own));
    case 'bandwidth':
      return limitText('its', bandwidthText(own));
    case 'client-iops':
      return limitText("the client's", iopsText(ofClient));
    case 'client-bandwidth':
      return limitText("the client's", bandwidthText(ofClient));
  }
}

/** Returns the text for a limit. `what` is null if the limit was removed after the session had reported that the limit holds I/O. */
function limitText(whose: string, what: string | null): string {
  return what === null ? `${whose} limit` : `${whose} limit of ${what}`;
}

function iopsText(limits: IoLimits | null): string | null {
  return limits === null || limits.iops === null ? null : `${limits.iops} iops`;
}

function bandwidthText(limits: IoLimits | null): string | null {
  return limits === null || limits.bytesPerSecond === null ? null : `${printSize(limits.bytesPerSecond)} bytes per second`;
}
