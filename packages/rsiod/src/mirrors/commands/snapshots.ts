// Makes a snapshot of an attached mirror (M22). The servers of the replicas in sync take their snapshots at one moment. The command then
// marks the snapshots of this moment as proven. Invariants: the command succeeds only if at least one server has the proven snapshot. A
// name that a server of the mirror already uses is refused before anything is made.

import { sleep } from '@rsio/base/lib/waiting';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { SERVER_METHODS, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { misfit } from '@rsio/base/lib/shape';
import type { Clock } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError, toRsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { MirrorView, ReplicaView } from '@rsio/protocol/mirror/membership/interface';
import { snapshotIdOf } from '@rsio/protocol/mirror/moments/snapshot-id';
import type { MomentIo } from '@rsio/protocol/mirror/moments/quiet-moment';
import { SnapshotMoment } from '@rsio/protocol/mirror/moments/snapshot-moment';
import { SNAPSHOT_CALL_MS, SNAPSHOT_FLUSH_MS, SNAPSHOT_LOOK_MS, SNAPSHOT_SETTLE_MS } from '../limits.ts';
import type { ConversionPorts } from './conversion.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { MirrorVolume } from '../attached-mirror.ts';

type Params = ControlMethods['mirror-snapshot']['params'];
type Result = ControlMethods['mirror-snapshot']['result'];
type View = ServerMethods['replica-snapshot']['result']['snapshot'];

export interface SnapshotMirror {
  readonly label: string;
  readonly volume: MirrorVolume;
  readonly view: MirrorView | null;
  readonly isSettled: boolean;
  readonly driver: { readonly mirror: string; confirmByVoters(): Promise<boolean> };
  readonly io: MomentIo & { flushAt(identity: string, done: (status: number) => void): void };
}

export interface MirrorSnapshotsPorts extends Pick<ConversionPorts, 'log' | 'management' | 'newId'> {
  readonly clock: Pick<Clock, 'after' | 'monotonicMs'>;
  readonly mirrors: { named(named: Pick<Params, 'namespace' | 'name' | 'universe'>): SnapshotMirror };
}

/** A replica with its server. `server` is null if this client has never reached the server. */
interface Place {
  readonly replica: ReplicaView;
  readonly server: MirrorServer | null;
  readonly name: string;
}

export class MirrorSnapshots {
  private readonly ports: MirrorSnapshotsPorts;
  /**
   * Number of the last moment in the current term. Numbers may start again after the next attach, because the next attach has another term.
   */
  private moments = 0;
  /** Maps a server that lacked the last moment of a replication of a mirror to the reason, which is logged once. */
  private readonly lacking = new Map<string, string>();

  constructor(ports: MirrorSnapshotsPorts) {
    this.ports = ports;
  }

  /** `isMoment`: the snapshot is a moment of the replication of the mirror. Throws E_EXISTS or E_BUSY. If no server has made the snapshot, throws the servers' common error, or E_VOLUME with all reasons. */
  async make(params: Params, isMoment: boolean): Promise<Result> {
    const mirror = this.ports.mirrors.named(params);
    return await this.ports.management.change(mirror.label, async () => {
      await this.settled(mirror);
      const places = this.placesOf(mirror, params);
      const before = await this.before(mirror, places, params);
      if (before !== null) return before;
      await this.flush(mirror, places);
      return await this.take(mirror, places, params, isMoment);
    });
  }

  /**
   * Waits until the replicas are known to be equal. After an attach, the intent maps of the replicas must be read first. After a crash, the
   * replicas must also be made equal. Throws E_BUSY.
   */
  private async settled(mirror: SnapshotMirror): Promise<void> {
    const { clock } = this.ports;
    const isReady = (): boolean =>
      mirror.isSettled && mirror.view?.replicas.some((one) => one.reads && mirror.io.tenureOf(one.identity) !== null) === true;
    const endMs = clock.monotonicMs() + SNAPSHOT_SETTLE_MS;
    while (!isReady()) {
      if (clock.monotonicMs() >= endMs) {
        const why = mirror.view?.waitsFor ?? 'its replicas are still being made equal after an end that was not clean';
        throw new RsError('E_BUSY', `No snapshot of ${mirror.label} can be made now: ${why}; try again later`);
      }
      await sleep(clock, SNAPSHOT_LOOK_MS);
    }
  }

  private placesOf({ label, view }: SnapshotMirror, { namespace, name, universe }: Params): Place[] {
    const found = this.ports.management.chosen(namespace).find((one) => volumeLabel({ namespace: one.name, name, universe }) === label);
    return (view?.replicas ?? []).map((replica) => {
      const server = found?.servers.find(({ serverid }) => serverid === replica.server) ?? null;
      return { replica, server, name: server?.name ?? `server ${replica.server}` };
    });
  }

  /**
   * Returns the answer to an earlier execution of this request if that execution has made the snapshot; otherwise null. Throws E_EXISTS if
   * another snapshot has the name.
   */
  private async before(mirror: SnapshotMirror, places: readonly Place[], params: Params): Promise<Result | null> {
    const shown = await Promise.all(
      places.map(async (place) => {
        const volume = volumeOf(place, mirror);
        if (place.server === null || volume === null) return null;
        const answer = await call(place.server, 'volume-show', volume).catch(() => null);
        const one = answer?.snapshots.find(({ snapshot }) => snapshot === params.snapshot);
        return one === undefined || one.moment?.isProven === false ? null : { place, one };
      }),
    );
    const having = shown.filter((one) => one !== null);
    const [first] = having;
    if (first === undefined) return null;
    const id = snapshotIdOf(mirror.driver.mirror, params.id);
    if (having.every(({ one }) => one.id === id)) {
      const servers = new Set(having.map(({ place }) => place.name));
      return answerOf(mirror, params, first.one, places, (place) => (servers.has(place.name) ? null : 'it did not make it in time'));
    }
    const text = `${mirror.label}@${params.snapshot}`;
    throw new RsError('E_EXISTS', `Snapshot ${text} exists on ${having.map(({ place }) => place.name).join(', ')}: choose another name`);
  }

  /** Flushes the replicas before the moment, so that the servers have little to write during the moment. */
  private async flush({ io }: SnapshotMirror, places: readonly Place[]): Promise<void> {
    const flushes = places
      .filter(({ replica }) => replica.reads)
      .map(({ replica }) => new Promise<void>((resolve) => io.flushAt(replica.identity, () => resolve())));
    await new Promise<void>((resolve) => {
      const timer = this.ports.clock.after(SNAPSHOT_FLUSH_MS, resolve);
      void Promise.all(flushes).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  private async take(mirror: SnapshotMirror, places: readonly Place[], params: Params, isMoment: boolean): Promise<Result> {
    const { snapshot, id } = params;
    const { mirror: mirrorId } = mirror.driver;
    const term = mirror.view?.term ?? 0;
    const sizeBytes = mirror.io.volume?.sizeBytes ?? 0;
    const number = ++this.moments;
    // Each attempt has another moment and therefore needs a new request id: servers refuse a known request id with other parameters.
    const request = this.ports.newId();
    const errors = new Map<string, RsError>();
    const made = new Map<string, View>();
    const at = async (identity: string, work: (server: MirrorServer, volume: Volume) => Promise<View>): Promise<string | null> => {
      const place = places.find(({ replica }) => replica.identity === identity);
      const volume = place === undefined ? null : volumeOf(place, mirror);
      if (place?.server === undefined || place.server === null || volume === null) return 'it does not list the replica';
      try {
        const view = await work(place.server, volume);
        if (view.moment?.term !== term || view.moment.number !== number) return 'its snapshot of this request is of another moment';
        if (view.sizeBytes !== sizeBytes) return `its replica has ${view.sizeBytes} bytes, and the mirror ${sizeBytes}`;
        made.set(identity, view);
        return null;
      } catch (thrown) {
        const error = toRsError(thrown);
        errors.set(identity, error);
        return error.message;
      }
    };
    const moment = new SnapshotMoment(mirror.io, {
      clock: this.ports.clock,
      snapshot: (identity) =>
        at(identity, async (server, volume) => {
          const wanted = { ...volume, snapshot, id, mirror: mirrorId, term, number, isMoment, request };
          return (await call(server, 'replica-snapshot', wanted)).snapshot;
        }),
      confirmByVoters: () => mirror.driver.confirmByVoters(),
    });
    const outcomes = new Map(await moment.take());
    await Promise.all(
      [...outcomes].map(async ([identity, why]) => {
        if (why !== null) return;
        const prove = async (server: MirrorServer, volume: Volume): Promise<View> =>
          (await call(server, 'replica-snapshot-prove', { ...volume, snapshot, id, mirror: mirrorId, term, request: null })).snapshot;
        outcomes.set(identity, await at(identity, prove));
      }),
    );
    const reasonOf = ({ replica }: Place): string | null =>
      outcomes.get(replica.identity) ?? (outcomes.has(replica.identity) ? null : notAsked(replica));
    const first = places.find((place) => reasonOf(place) === null);
    const view = first === undefined ? undefined : made.get(first.replica.identity);
    if (view === undefined) throw nobodyHas(`${mirror.label}@${snapshot}`, places, reasonOf, [...errors.values()]);
    const result = answerOf(mirror, params, view, places, reasonOf);
    this.ports.log.info(`Snapshot ${mirror.label}@${snapshot} was made on ${result.servers.join(', ')}`, { audit: true });
    this.warnMissing(mirror.label, result, isMoment);
    return result;
  }

  /** Moments are made again and again, and a server may lack each of them for days. */
  private warnMissing(label: string, { snapshot, servers, missing }: Result, isMoment: boolean): void {
    const keyOf = (server: string): string => JSON.stringify([label, server]);
    if (isMoment) for (const server of servers) this.lacking.delete(keyOf(server));
    for (const { server, reason } of missing) {
      // The name differs with each moment.
      const text = reason.replaceAll(snapshot, 'of a moment');
      if (isMoment && this.lacking.get(keyOf(server)) === text) continue;
      if (isMoment) this.lacking.set(keyOf(server), text);
      this.ports.log.warn(`Server ${server} does not have snapshot ${label}@${snapshot}: ${reason}`);
    }
  }
}

interface Volume {
  readonly name: string;
  readonly universe: number;
}

/** Returns the volume that is the replica at this place; null if the server does not list it. */
function volumeOf({ server }: Place, { driver }: SnapshotMirror): Volume | null {
  const found = server?.volumes.find(({ mirror }) => mirror === driver.mirror);
  return found === undefined ? null : { name: found.name, universe: found.universe };
}

function notAsked({ session, role }: ReplicaView): string {
  if (session !== 'open') return 'it is away';
  return role === 'member' ? 'its replica was not ready' : 'its replica is being copied';
}

/** `reasonOf` returns the reason why a server lacks the snapshot; null if the server has it. */
function answerOf(
  mirror: SnapshotMirror,
  { snapshot }: Params,
  { id, sizeBytes, usedBytes, createdMs, moment }: View,
  places: readonly Place[],
  reasonOf: (place: Place) => string | null,
): Result {
  return {
    ...mirror.volume,
    snapshot,
    id,
    sizeBytes,
    usedBytes,
    createdMs,
    mirror: mirror.driver.mirror,
    term: moment?.term ?? 0,
    number: moment?.number ?? 0,
    servers: places.filter((place) => reasonOf(place) === null).map(({ name: server }) => server),
    missing: places.flatMap((place) => {
      const reason = reasonOf(place);
      return reason === null ? [] : [{ server: place.name, reason }];
    }),
  };
}

/**
 * Makes the error for the case that no server has the snapshot. If all servers failed with the same error code, such as E_RIGHTS, the error
 * has this code.
 */
function nobodyHas(text: string, places: readonly Place[], reasonOf: (place: Place) => string | null, errors: readonly RsError[]): RsError {
  const codes = new Set<ErrorCode>(errors.map(({ code }) => code));
  const [only = 'E_VOLUME'] = codes;
  const reasons = places.map((place) => `${place.name}: ${reasonOf(place) ?? ''}`).join('; ');
  return new RsError(codes.size === 1 ? only : 'E_VOLUME', `No server has made snapshot ${text}: ${reasons}`);
}

/** Throws the error of the server, or E_VERSION if the answer has an unknown form. */
async function call<M extends 'volume-show' | 'replica-snapshot' | 'replica-snapshot-prove'>(
  server: MirrorServer,
  method: M,
  params: ServerMethods[M]['params'],
): Promise<ServerMethods[M]['result']> {
  const answer = await server.callAdmin(method, params, SNAPSHOT_CALL_MS);
  const trouble = misfit(SERVER_METHODS[method].result, answer);
  if (trouble === null) return answer as ServerMethods[M]['result'];
  throw new RsError(
    'E_VERSION',
    `Server ${server.name} has another release, and its answer to ${method} another form (${trouble}): update it`,
  );
}
