// Records each order that changes something: who gave it, what changed, and its outcome. Invariants: the entry is on disk before the order is
// answered, unless the disk fails or hangs, which is logged, and delays an order by at most AUDIT_WAIT_MS; a text of a client is bounded, and has no control
// characters; one client fills only a part of its book, and none of the server's (AuditFiles). Rules: G52.

import type { AuditEntry } from '@rsio/api/rssrv/audit-methods';
import type { ServerMethod } from '@rsio/api/rssrv/server-method';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { parseSince } from '@rsio/common/cli/since';
import { isDeepStrictEqual } from 'node:util';
import { counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { within } from '@rsio/base/lib/waiting';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { TokenBucket } from '@rsio/base/structures/token-bucket';
import type { AuditFiles } from '../events/audit-files.ts';
import { type VolumeName, volumeText } from '../pools/catalogue.ts';
import {
  AUDIT_LIST_MAX,
  AUDIT_ORDER_EACH_MS,
  AUDIT_ORDERS_AT_ONCE,
  AUDIT_TEXT_MAX_CHARS,
  AUDIT_UNSAVED_MAX,
  AUDIT_WAIT_MS,
} from './limits.ts';

/** An order, and who gives it. */
export interface Order {
  /** Name of the asker, such as `root` or `client big-2`. */
  readonly who: string;
  /** Name of the client that asks; null if the order was given on the server. */
  readonly node: string | null;
  readonly id: string | null;
  readonly method: ServerMethodName;
  readonly params: object;
}

export interface AuditPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly files: Pick<AuditFiles, 'add' | 'read'>;
  /** Returns what is kept about a volume, such as its size and settings; null if there is no such volume. */
  stateOf(volume: VolumeName): object | null;
}

type Values = Readonly<Record<string, unknown>>;

/** What each change of a volume changes. */
const ALWAYS_NEW: readonly string[] = ['request', 'stamps'];
const RATE = { atOnce: AUDIT_ORDERS_AT_ONCE, eachMs: AUDIT_ORDER_EACH_MS };

/** What one client has ordered: `left` counts its orders since its last entry that have none. */
interface Pace {
  readonly bucket: TokenBucket;
  left: number;
}

export class Audit {
  private readonly ports: AuditPorts;
  private readonly lines: RateLimitedLog;
  private readonly paces = new Map<string, Pace>();
  /** Number of entries that are not on disk yet. */
  private unsaved = 0;

  constructor(ports: AuditPorts & { readonly log: Log }) {
    this.ports = ports;
    this.lines = new RateLimitedLog(ports.clock, ports.log);
  }

  close(): void {
    this.lines.close();
  }

  /** Executes the order, and records it with its outcome. Returns the result of `work`, or throws its error. */
  async around<T>(order: Order, work: () => Promise<T>): Promise<T> {
    const { method, params } = order;
    if (!isRecorded(SERVER_METHODS[method])) return work();
    const volume = volumeIn(params);
    const before = volume === null ? null : this.ports.stateOf(volume);
    try {
      const result = await work();
      const changes = volume === null ? told(result) : differences(before, this.ports.stateOf(nameAfter(volume, order)));
      await this.record(order, { outcome: 'done', why: null, changes });
      return result;
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      await this.record(order, { outcome: code, why: shown(message), changes: [] });
      throw thrown;
    }
  }

  read({ since, who, volume, limit }: ServerMethods['audit']['params']): Promise<ServerMethods['audit']['result']> {
    const sinceMs = parseSince(since, this.ports.clock.wallMs());
    const matches = (entry: AuditEntry): boolean =>
      (sinceMs === null || entry.atMs >= sinceMs) &&
      (who === null || entry.who.includes(who)) &&
      (volume === null || entry.volume === volume);
    return this.ports.files.read(matches, limit);
  }

  private async record({ who, node, id, method, params }: Order, outcome: Pick<AuditEntry, 'outcome' | 'why' | 'changes'>): Promise<void> {
    const { clock, files } = this.ports;
    const left = node === null ? 0 : this.take(node);
    if (left === null) return;
    const volume = volumeIn(params);
    const entry: AuditEntry = {
      atMs: clock.wallMs(),
      who: shown(who),
      order: method,
      volume: volume === null ? null : shown(volumeText(volume)),
      asked: askedTexts(params),
      ...outcome,
      id,
      left: left === 0 ? null : left,
    };
    const missing = (why: string): void =>
      this.lines.note('Entries of the audit', () =>
        this.ports.log.warn(`An order is missing in the audit, ${method} by ${entry.who}: ${why}`, { audit: true }),
      );
    if (this.unsaved >= AUDIT_UNSAVED_MAX) return missing('the disk does not answer');
    this.unsaved++;
    const saved = files
      .add(node === null ? 'server' : 'clients', entry)
      .catch((thrown: unknown) => missing(toRsError(thrown).message))
      .finally(() => {
        this.unsaved = counted(this.unsaved - 1, 'entries of the audit that are not on disk');
      });
    await within(clock, AUDIT_WAIT_MS, saved, () => missing('the disk does not answer yet'));
  }

  /** Returns the number of orders of the client that have no entry before this one; null if this one has none either. */
  private take(node: string): number | null {
    const nowMs = this.ports.clock.monotonicMs();
    for (const [name, { bucket, left }] of this.paces)
      if (name !== node && left === 0 && bucket.tokens(nowMs) === RATE.atOnce) this.paces.delete(name);
    const pace = this.paces.get(node) ?? { bucket: new TokenBucket(RATE), left: 0 };
    this.paces.set(node, pace);
    if (pace.bucket.tokens(nowMs) < 1) {
      pace.left++;
      return null;
    }
    pace.bucket.take(nowMs);
    const { left } = pace;
    pace.left = 0;
    return left;
  }
}

/** Machines repeat orders that are not in the audit all the time. */
export function isRecorded({ repeats, unrecorded }: ServerMethod): boolean {
  return repeats !== null && unrecorded === null;
}

function volumeIn(params: object): VolumeName | null {
  const { name, universe, volume } = params as Values;
  // Of orders about clients, `name` is that of the client.
  if (volume === null) return null;
  if (typeof volume === 'object') return volumeIn(volume);
  const text = volume ?? name;
  if (typeof text === 'string' && typeof universe === 'number') return { name: text, universe };
  const several = listed(params);
  return several.length === 1 ? volumeIn(several[0]!) : null;
}

/** Parameters that an entry tells elsewhere: its id and its volume. */
function isTold(key: string, params: object): boolean {
  const { universe, volume } = params as Values;
  if (key === 'request' || key === 'universe') return true;
  return key === (volume === undefined ? 'name' : 'volume') && typeof universe === 'number';
}

/** The volumes of an order about several. */
function listed(params: object): readonly object[] {
  const { volumes, snapshots, images } = params as Values;
  const list = volumes ?? snapshots ?? images;
  return Array.isArray(list) ? list.filter((one): one is object => typeof one === 'object' && one !== null) : [];
}

/** The name that the volume has after the order. Of a clone, `newName` is the name of another volume. */
function nameAfter({ name, universe }: VolumeName, { method, params }: Order): VolumeName {
  if (method !== 'volume-rename') return { name, universe };
  const { newName = name, newUniverse = universe } = params as { readonly newName?: string | null; readonly newUniverse?: number | null };
  return { name: newName ?? name, universe: newUniverse ?? universe };
}

function askedTexts(params: object): string[] {
  const given = Object.entries(params).filter(([key, value]) => !isTold(key, params) && value !== null && value !== undefined);
  return given.slice(0, AUDIT_LIST_MAX).map(([key, value]) => shown(`${key}=${valueText(value)}`));
}

/** Returns a text for each field that differs. A volume that did not exist before, or does not exist any more, is one text. */
function differences(before: object | null, after: object | null): string[] {
  if (before === null) return after === null ? [] : ['created'];
  if (after === null) return ['gone'];
  const [was, is] = [before as Values, after as Values];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((key) => !ALWAYS_NEW.includes(key) && !isDeepStrictEqual(was[key], is[key]))
    .slice(0, AUDIT_LIST_MAX)
    .map((key) => shown(`${key}: ${valueText(was[key])} -> ${valueText(is[key])}`));
}

/** The changes that the answer of a reload names. */
function told(result: unknown): string[] {
  const { applied } = (result ?? {}) as { readonly applied?: unknown };
  return Array.isArray(applied) ? applied.slice(0, AUDIT_LIST_MAX).map((one) => shown(String(one))) : [];
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? 'none' : JSON.stringify(value);
}

function shown(text: string): string {
  const cut = text.length <= AUDIT_TEXT_MAX_CHARS ? text : `${text.slice(0, AUDIT_TEXT_MAX_CHARS)}...`;
  return escapeControls(cut);
}
