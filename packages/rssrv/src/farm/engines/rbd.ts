// The engine for a pool on a Ceph RBD image. The record is in an object beside the image. The storage compares the record and writes the
// next one in a single atomic step. A fence is an entry in the list of refused clients (blocklist). Rules: F1, F4, F7 in
// test/models/README.md.

import { sleep } from '@rsio/base/lib/waiting';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { count, map, misfit, object, type Of, orNull, type Shape, text } from '@rsio/base/lib/shape';
import { isStoredName } from '@rsio/base/lib/units';
import type { Engine, Sight } from '../engine.ts';
import { type FarmRecord, NOTE, type Note, RECORD, type Writer } from '../farm-record.ts';
import {
  CLIENT_MAX_CHARS,
  ENGINE_CALL_MS,
  FENCE_MS,
  RBD_FENCE_LEAST_MS,
  RBD_FENCE_RETRY_MS,
  RBD_FENCE_S,
  FARM_RECORD_MAX_BYTES,
} from '../limits.ts';
import { cephAccess } from './rbd-access.ts';
import { RbdClient } from './rbd-client.ts';
import { clearFolder, RbdDaemon } from './rbd-daemon.ts';
import { type ImageFacts, usable } from './rbd-facts.ts';
import { RbdHelper, type RbdImage } from './rbd-helper.ts';

export interface RbdEnginePorts {
  readonly pool: string;
  readonly image: string;
  /** Name of this server in the namespace. */
  readonly server: string;
  /** Folder for the files of this pool on this machine; deleted by `clear`. Its path is short enough for Unix sockets in it. */
  readonly folder: string;
  readonly clock: Clock;
  /** The variables CEPH_CONF, CEPH_ARGS and CEPH_KEYRING have the meaning that they have for ceph(8). */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const STORED = object({ record: orNull(text()), version: orNull(text()), notes: map(text()) });
const FENCED = object({ until: orNull(text()), epoch: count() });
const CLIENT = /^(?:([\d.]+)|\[([\da-fA-F:.]+)\]):0\/([1-9]\d{0,9})$/;
const REFUSALS: readonly unknown[] = ['EACCES', 'EPERM', 'EINVAL'];
const NONCE_MAX = 2 ** 32 - 1;

export class RbdEngine implements Engine {
  readonly kind = 'rbd';
  private readonly ports: RbdEnginePorts;
  private readonly of: RbdImage;
  private readonly records: RbdHelper;
  /** Has its own process, because the monitors may take long to answer, and a look must not wait for them. */
  private readonly monitors: RbdHelper;
  /** The servers whose notes the last look has found. */
  private noted: readonly string[] = [];
  /** A version of the cluster map that contains all fences of this engine. */
  private fencedEpoch = 0;

  constructor(ports: RbdEnginePorts) {
    this.ports = ports;
    this.of = { pool: ports.pool, image: ports.image, access: cephAccess(ports.environment) };
    this.records = new RbdHelper(ports.clock, this.of);
    this.monitors = new RbdHelper(ports.clock, this.of);
  }

  async prepare(): Promise<void> {
    await this.facts();
    if ((await this.records.ask('prepare')) === true) return;
    const empty = `rbd rm ${this.name}, and rbd create ${this.name} --size SIZE --image-feature layering`;
    throw new RsError('E_EXISTS', `Image ${this.name} has content: use another image, or delete all its data with ${empty}`);
  }

  async look(): Promise<Sight> {
    const value = await this.records.ask('look');
    const wrong = misfit(STORED, value, 'exactly');
    if (wrong !== null) throw this.damaged(wrong);
    const { record, version, notes } = value as { record: string | null; version: string | null; notes: Readonly<Record<string, string>> };
    this.noted = Object.keys(notes);
    const stored = record === null && version === null ? null : parsed(record ?? '', RECORD);
    if (typeof stored === 'string') throw this.damaged(stored);
    if (stored !== null && String(stored.version) !== version) throw this.damaged(`its version is not ${version}`);
    const entries = new Map<string, Note>();
    // A malformed note does not count, because a bad note of one server must not keep the other servers from reading the record.
    for (const [server, text] of Object.entries(notes)) {
      const note = parsed(text, NOTE);
      if (isStoredName(server) && typeof note !== 'string') entries.set(server, note);
    }
    return { record: stored, notes: entries };
  }

  async swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean> {
    const record = JSON.stringify(next);
    const bytes = Buffer.byteLength(record);
    if (bytes > FARM_RECORD_MAX_BYTES)
      throw new RsError(
        'E_STORAGE',
        `Record of ${this.name} would have ${bytes} bytes, more than ${FARM_RECORD_MAX_BYTES}: name fewer owners`,
      );
    const forget = this.noted.filter((server) => !next.owners.includes(server));
    const versions = { seen: seen === null ? null : String(seen.version), version: String(next.version) };
    return (await this.records.ask('swap', { ...versions, record, forget })) === true;
  }

  async post(note: Note): Promise<void> {
    const { server } = this.ports;
    if (!isStoredName(server)) throw new RsError('E_CONFIG', `Server name ${server} cannot be that of an owner: use letters and digits`);
    await this.records.ask('post', { server, note: JSON.stringify(note) });
  }

  async connect(generation: number): Promise<RbdClient> {
    const { clock, folder } = this.ports;
    // Fail early, with a better reason than the daemon would give.
    const { bytes } = await this.facts();
    const own = join(folder, 'client');
    const daemon = await RbdDaemon.start(clock, own, this.of);
    try {
      const { watchers } = await this.facts();
      if (!isClient(daemon.address) || !watchers.includes(daemon.address)) {
        const what = `Storage client of generation ${generation} calls itself ${daemon.address}`;
        const sentence = `${what}, but ${this.name} is open at ${watchers.join(', ')}: check the network of this server`;
        throw new RsError('E_STORAGE', sentence, { address: daemon.address, watchers });
      }
    } catch (thrown) {
      await daemon.kill();
      await clearFolder(clock, own);
      throw thrown;
    }
    return new RbdClient({ clock, folder: own, daemon, bytes, facts: () => this.facts() });
  }

  async fence(writer: Writer): Promise<void> {
    const { clock } = this.ports;
    if (!isClient(writer.client))
      throw new RsError(
        'E_FENCE',
        `"${writer.client.slice(0, CLIENT_MAX_CHARS)}" of server ${writer.server} is no client of Ceph: ${BY_HAND}`,
      );
    // Leave time for the last attempt, which makes three calls.
    const endMs = clock.monotonicMs() + FENCE_MS - 3 * ENGINE_CALL_MS - RBD_FENCE_RETRY_MS;
    for (;;) {
      try {
        return await this.fenceOnce(writer);
      } catch (thrown) {
        const { code, message, context } = toRsError(thrown);
        if (code !== 'E_STORAGE') throw thrown;
        // Other failures may be temporary, for example because the monitors are electing a leader.
        if (REFUSALS.includes(context['errno']) || clock.monotonicMs() > endMs) throw this.unproven(writer, message);
      }
      await sleep(clock, RBD_FENCE_RETRY_MS);
    }
  }

  clear(): Promise<void> {
    return clearFolder(this.ports.clock, join(this.ports.folder, 'client'));
  }

  close(): Promise<void> {
    this.records.end();
    this.monitors.end();
    return Promise.resolve();
  }

  private get name(): string {
    return `${this.of.pool}/${this.of.image}`;
  }

  private async facts(): Promise<ImageFacts> {
    const facts = usable(this.name, await this.monitors.ask('facts'));
    // Another monitor may be a moment behind the monitor that confirmed a fence.
    return { ...facts, epoch: Math.max(facts.epoch, this.fencedEpoch) };
  }

  /**
   * An OSD that does not know the fence yet may still execute a write of the client. This does no harm, because `open` of the next client
   * makes sure that every OSD knows the fence before it executes I/O of that client.
   */
  private async fenceOnce(writer: Writer): Promise<void> {
    const { client } = writer;
    if ((await this.fenced(client)).until === null) await this.monitors.ask('fence', { client, seconds: RBD_FENCE_S });
    const { until, epoch } = await this.fenced(client);
    // Ceph prints +0000, which Date does not read.
    const untilMs = Date.parse((until ?? '').replace(/([+-]\d\d)(\d\d)$/, '$1:$2'));
    if (untilMs - this.ports.clock.wallMs() >= RBD_FENCE_LEAST_MS) {
      this.fencedEpoch = Math.max(this.fencedEpoch, epoch);
      return;
    }
    if (until === null) throw this.unproven(writer, 'the entry is missing');
    // Ceph cannot change the time at which an entry ends. If the entry were removed and added again, the client could write in between,
    // perhaps when another server has already confirmed the fence. When the entry has ended, another attempt adds a lasting entry, and the
    // taker has opened nothing by then.
    throw new RsError(
      'E_FENCE',
      `Client ${client} of server ${writer.server} is fenced until ${until} only, by another program: the pool waits for that time; ` +
        `if the server is switched off, run: ceph osd blocklist rm ${client}`,
      { client, until },
    );
  }

  private async fenced(client: string): Promise<Of<typeof FENCED>> {
    const value = await this.monitors.ask('fenced', { client });
    const wrong = misfit(FENCED, value, 'exactly');
    if (wrong !== null) throw new RsError('E_STORAGE', `List of fenced clients has no form (${wrong}): check the version of Ceph`);
    return value as Of<typeof FENCED>;
  }

  private unproven({ client, server }: Writer, reason: string): RsError {
    const command = `ceph osd blocklist add ${client} ${RBD_FENCE_S}`;
    return new RsError('E_FENCE', `Client ${client} of server ${server} is not fenced (${reason}): run ${command}`, {
      client,
      server,
      reason,
    });
  }

  private damaged(wrong: string): RsError {
    const { pool, image } = this.of;
    const look = `rados -p ${pool} listomapvals rsio.pool.${image}`;
    return new RsError('E_STORAGE', `Record of ${pool}/${image} is damaged (${wrong}): look at it with ${look}`, { pool, image, wrong });
  }
}

/** Returns the value, or a text that says why the JSON text is wrong. */
function parsed<T extends object>(json: string, shape: Shape<T>): T | string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return 'it is no JSON';
  }
  return misfit(shape, value, 'exactly') ?? (value as T);
}

const BY_HAND = 'switch that server off, and remove its entry from the record';

/** Returns true for an address in the form of the list of refused clients, `IP:0/NONCE`. */
function isClient(client: string): boolean {
  const [, v4, v6, nonce] = CLIENT.exec(client) ?? [];
  return (v4 === undefined ? isIP(v6 ?? '') === 6 : isIP(v4) === 4) && Number(nonce) <= NONCE_MAX;
}
