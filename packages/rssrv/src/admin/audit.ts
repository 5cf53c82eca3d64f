// Records each order that changes something: who gave it, what changed, and its outcome; and each refused one. Invariants: the entry is on disk before the order is
// answered, unless the disk fails or hangs, which is logged, and delays an order by at most AUDIT_WAIT_MS; an entry tells what the volume was
// when the turn of the order came, and not what other orders have changed before; a text of a client is bounded, and has no control
// characters; one client, and one person who is no administrator, fills only a part of its book, and none of the server's (AuditFiles). Rules:
// G52.

import { type AuditEntry, TAKEN_OVER } from '@rsio/api/rssrv/audit-methods';
import type { ServerMethod } from '@rsio/api/rssrv/server-method';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { parseSince } from '@rsio/common/cli/since';
import { isDeepStrictEqual } from 'node:util';
import { counted } from '@rsio/base/lib/assert';
import type { Param } from '@rsio/common/control/method-table';
import type { Clock } from '@rsio/base/lib/clock';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { within } from '@rsio/base/lib/waiting';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { TokenBucket } from '@rsio/base/structures/token-bucket';
import { type AuditFiles, lineOf } from '../events/audit-files.ts';
import { type VolumeName, volumeText } from '../pools/catalogue.ts';
import type { Changes } from '../pools/requests/requests.ts';
import {
  AUDIT_LIST_MAX,
  AUDIT_OTHERS_MAX,
  AUDIT_PACES_MAX,
  AUDIT_TEXT_MAX_CHARS,
  AUDIT_UNIT_BYTES,
  AUDIT_UNIT_EACH_MS,
  AUDIT_UNITS_AT_ONCE,
  AUDIT_UNSAVED_MAX,
  AUDIT_WAIT_MS,
} from './limits.ts';

/** An order, and who gives it. */
export interface Order {
  /** Name of the asker, such as `root` or `client big-2`. */
  readonly who: string;
  /** Name of the client that asks; null if the order was given on the server. */
  readonly node: string | null;
  /** A client, or a person on the server who is no administrator: the entries of one have a bounded rate. Null for administrators. */
  readonly paced: string | null;
  readonly id: string | null;
  readonly method: ServerMethodName;
  readonly params: object;
}

export interface AuditPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly files: Pick<AuditFiles, 'add' | 'folder' | 'read'>;
  /** Returns what a pool keeps about a volume, such as its size and settings; null if no pool has it. */
  stateOf(volume: VolumeName | VolumeState): VolumeState | null;
}

/** `id` stays when the volume gets another name. */
export interface VolumeState {
  readonly id: string;
}

type Values = Readonly<Record<string, unknown>>;
type Outcome = Pick<AuditEntry, 'changes' | 'outcome' | 'why'>;

/** The volumes that an entry names. `volume`: null if it names none, or several. */
interface About {
  readonly volume: VolumeName | null;
  readonly volumeId: string | null;
  readonly others: NonNullable<AuditEntry['others']>;
}

/** What each change of a volume changes. */
const ALWAYS_NEW: readonly string[] = ['request', 'stamps'];
/** Askers that are too many to have a pace of their own. */
const OTHERS = 'all others';
const BY_SIGNAL = 'SIGHUP';
const RATE = { atOnce: AUDIT_UNITS_AT_ONCE, eachMs: AUDIT_UNIT_EACH_MS };

/** What one asker has ordered: `left` counts its orders since its last entry that have none. */
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

  /**
   * Executes the order, and records it with its outcome. Returns the result of `work`, or throws its error. `work` makes its changes in the
   * queue that the given function returns, so that the entry tells only what they have changed.
   */
  async around<T>(order: Order, work: (watched: (queue: Changes) => Changes) => Promise<T>): Promise<T> {
    if (!isRecorded(SERVER_METHODS[order.method])) return work((queue) => queue);
    const look = new Look(this.ports, order);
    try {
      const result = await work((queue) => look.watched(queue));
      if (isIdle(order, result)) return result;
      await this.record(order, look, { outcome: 'done', why: null, changes: look.volume === null ? told(result) : look.changes });
      return result;
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      // An error may come after the commit point.
      await this.record(order, look, { outcome: code, why: shown(message), changes: look.changes });
      throw thrown;
    }
  }

  /** Records an order that was refused before it was looked at, because the asker may not give it. */
  async refused(order: Order, { code, message }: RsError): Promise<void> {
    if (!isRecorded(SERVER_METHODS[order.method])) return;
    await this.record(order, new Look(this.ports, order), { outcome: code, why: shown(message), changes: [] });
  }

  /**
   * Records what the server has done by itself, as `who`, such as a schedule, orders it: `error` is null if it is done. Nobody waits for the
   * entry. Such entries have a bounded rate, because a schedule may be that of thousands of volumes; those of a signal, which only an
   * administrator can send, have none.
   */
  byServer(who: string, method: ServerMethodName, params: object, error: RsError | null, result: unknown = null): void {
    const order = { who, node: null, paced: who === BY_SIGNAL ? null : who, id: null, method, params };
    const { code: outcome, message } = error ?? { code: 'done', message: null };
    const why = message === null ? null : shown(message);
    void this.record(order, new Look(this.ports, order), { outcome, why, changes: told(result) });
  }

  /** Records that a client has taken a volume over from other clients, which are its losers. Nobody waits for the entry. */
  takenOver(volume: VolumeName & VolumeState, by: string, losers: readonly string[]): void {
    const changes = [shown(`holder: ${losers.join(', ')} -> ${by}`)];
    const about = { volume: { name: volume.name, universe: volume.universe }, volumeId: volume.id, others: [] };
    void this.write({ who: `client ${by}`, paced: by, id: null, order: TAKEN_OVER, asked: [] }, about, {
      outcome: 'done',
      why: null,
      changes,
    });
  }

  read({ since, who, volume, limit }: ServerMethods['audit']['params']): Promise<ServerMethods['audit']['result']> {
    const sinceMs = parseSince(since, this.ports.clock.wallMs());
    const name = volume === null ? null : volumeText(volume);
    // A removed volume, and one of a section, have no id here: their entries are found by the name.
    const id = volume === null ? null : (this.ports.stateOf(volume)?.id ?? null);
    const matches = (entry: AuditEntry): boolean =>
      (sinceMs === null || entry.atMs >= sinceMs) &&
      (who === null || entry.who.includes(who)) &&
      (name === null || [entry, ...(entry.others ?? [])].some((one) => one.volume === name || (id !== null && one.volumeId === id)));
    return this.ports.files.read(matches, limit);
  }

  private record(order: Order, look: Look, outcome: Outcome): Promise<void> {
    const { who, paced, id, method, params } = order;
    return this.write({ who, paced, id, order: method, asked: askedTexts(params, SERVER_METHODS[method].params) }, look, outcome);
  }

  private async write(
    { who, paced, id, order, asked }: Pick<Order, 'id' | 'paced' | 'who'> & Pick<AuditEntry, 'asked' | 'order'>,
    { volume, volumeId, others }: About,
    outcome: Outcome,
  ): Promise<void> {
    const { clock, files } = this.ports;
    const entry = {
      atMs: clock.wallMs(),
      who: shown(who),
      order,
      volume: volume === null ? null : shown(volumeText(volume)),
      volumeId,
      ...(others.length === 0 ? {} : { others }),
      asked,
      ...outcome,
      id,
      left: null,
    };
    const left = paced === null ? 0 : this.take(paced, Buffer.byteLength(lineOf(entry)));
    if (left === null) return;
    const line = lineOf(left === 0 ? entry : { ...entry, left });
    const missing = (why: string): void =>
      this.lines.note('Entries of the audit', () =>
        this.ports.log.warn(
          `An order is missing in the audit, ${order} by ${entry.who} (${why}): free space in ${files.folder}, or check its disk`,
          { audit: true },
        ),
      );
    if (this.unsaved >= AUDIT_UNSAVED_MAX) return missing('the disk does not answer');
    this.unsaved++;
    const saved = files
      .add(paced === null ? 'server' : 'clients', line)
      .catch((thrown: unknown) => missing(toRsError(thrown).message))
      .finally(() => {
        this.unsaved = counted(this.unsaved - 1, 'entries of the audit that are not on disk');
      });
    await within(clock, AUDIT_WAIT_MS, saved, () => missing('the disk does not answer yet'));
  }

  /** Returns the number of orders of the asker that have no entry before this one; null if this one has none either. */
  private take(wanted: string, bytes: number): number | null {
    const nowMs = this.ports.clock.monotonicMs();
    for (const [name, { bucket, left }] of this.paces)
      if (name !== wanted && left === 0 && bucket.tokens(nowMs) === RATE.atOnce) this.paces.delete(name);
    const asker = this.paces.has(wanted) || this.paces.size < AUDIT_PACES_MAX ? wanted : OTHERS;
    const pace = this.paces.get(asker) ?? { bucket: new TokenBucket(RATE), left: 0 };
    this.paces.set(asker, pace);
    if (pace.bucket.tokens(nowMs) < 1) {
      pace.left++;
      return null;
    }
    for (let units = Math.ceil(bytes / AUDIT_UNIT_BYTES); units > 0; units--) pace.bucket.take(nowMs);
    const { left } = pace;
    pace.left = 0;
    return left;
  }
}

/** What an order has found and changed. */
class Look implements About {
  readonly volume: VolumeName | null;
  private readonly ports: Pick<AuditPorts, 'stateOf'>;
  private readonly params: object;
  private before: VolumeState | null = null;
  private after: VolumeState | null = null;
  private hasBegun = false;

  constructor(ports: Pick<AuditPorts, 'stateOf'>, { params }: Order) {
    this.ports = ports;
    this.params = params;
    this.volume = volumeIn(params);
  }

  /** The further volumes that the order is about. */
  get others(): NonNullable<AuditEntry['others']> {
    return othersIn(this.params, this.volume).map((one) => ({ volume: shown(volumeText(one)), volumeId: this.state(one)?.id ?? null }));
  }

  /** The id of the volume; null if no pool has it. */
  get volumeId(): string | null {
    return (this.hasBegun ? (this.before ?? this.after) : this.state(this.volume))?.id ?? null;
  }

  get changes(): string[] {
    return differences(this.before, this.after);
  }

  /** Returns the queue. Each change in it is looked at when its turn comes, and when it ends. */
  watched(queue: Changes): Changes {
    return {
      run: (change, what) =>
        queue.run(async (turn) => {
          if (!this.hasBegun) this.before = this.state(this.volume);
          this.hasBegun = true;
          try {
            return await change(turn);
          } finally {
            // A volume that has another name now is found by its id.
            this.after = this.state(this.before ?? this.volume);
          }
        }, what),
      checkWanted: () => queue.checkWanted(),
    };
  }

  private state(volume: VolumeName | VolumeState | null): VolumeState | null {
    return volume === null ? null : this.ports.stateOf(volume);
  }
}

/** Machines repeat orders that are not in the audit all the time. */
export function isRecorded({ repeats, unrecorded }: ServerMethod): boolean {
  return repeats !== null && unrecorded === null;
}

/** True if the order was only to say what it would do, or if its answer says that nothing was to do. */
function isIdle({ method, params }: Order, result: unknown): boolean {
  const { plan, checkOnly } = params as Values;
  const { idleIf } = SERVER_METHODS[method];
  return plan === true || checkOnly === true || (idleIf !== null && ((result ?? {}) as Values)[idleIf] === true);
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

/** The volumes of an order except the one that its entry names: those of a list, the one that gives its content, and those that it makes. */
function othersIn(params: object, named: VolumeName | null): VolumeName[] {
  const { from, newName, newUniverse, suffix } = params as Values;
  const several = listed(params);
  const clones = several.flatMap((one) => {
    const volume = typeof suffix === 'string' ? volumeIn(one) : null;
    return volume === null ? [] : [{ ...volume, name: `${volume.name}${suffix as string}` }];
  });
  const others = [typeof from === 'object' && from !== null ? from : {}, { name: newName, universe: newUniverse }];
  const all = [...several, ...clones, ...others].flatMap((one) => volumeIn(one) ?? []).map(({ name, universe }) => ({ name, universe }));
  return all.filter((one) => !isDeepStrictEqual(one, named)).slice(0, AUDIT_OTHERS_MAX);
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

function askedTexts(params: object, table: Readonly<Record<string, Param>>): string[] {
  const given = Object.entries(params).filter(
    ([key, value]) => table[key]?.isSecret !== true && !isTold(key, params) && value !== null && value !== undefined,
  );
  return given.slice(0, AUDIT_LIST_MAX).map(([key, value]) => shown(`${key}=${valueText(value)}`));
}

/** Returns a text for each field that differs; one text for a volume that was not there before, or is not there any more. */
function differences(before: VolumeState | null, after: VolumeState | null): string[] {
  if (before === null) return after === null ? [] : ['there now'];
  if (after === null) return ['gone'];
  const [was, is] = [before as unknown as Values, after as unknown as Values];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((key) => !ALWAYS_NEW.includes(key) && !isDeepStrictEqual(was[key], is[key]))
    .slice(0, AUDIT_LIST_MAX)
    .map((key) => shown(`${key}: ${valueText(was[key])} -> ${valueText(is[key])}`));
}

/** The changes that the answer of a reload, or of applying a file, names. */
function told(result: unknown): string[] {
  const { applied, changes } = (result ?? {}) as { readonly applied?: unknown; readonly changes?: unknown };
  const list = Array.isArray(applied) ? applied : changes;
  if (!Array.isArray(list)) return [];
  const more = list.length - AUDIT_LIST_MAX;
  return [...list.slice(0, AUDIT_LIST_MAX).map((one) => shown(String(one))), ...(more > 0 ? [`and ${more} more`] : [])];
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? 'none' : JSON.stringify(value);
}

function shown(text: string): string {
  const cut = text.length <= AUDIT_TEXT_MAX_CHARS ? text : `${text.slice(0, AUDIT_TEXT_MAX_CHARS)}...`;
  return escapeControls(cut);
}
