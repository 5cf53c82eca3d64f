// Judges whether the server may be restarted now: no mirror, shared pool or client may depend on this server alone, and no change or job
// may be unfinished. losses.ts of packages/api decides about mirrors and pools. Pure, except for the handler, which collects the facts. Invariant: if there is no reason against a restart, another
// server can go on with each mirror and each shared pool that this server serves; the volumes of its other pools wait until it is back, as
// at each restart.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { OBSERVING_METHODS, Readiness } from '@rsio/api/rssrv/observing-methods';
import { type MirrorParts, poolWithout, restartLack } from '@rsio/api/manage/losses';
import type { SharedPoolView } from '@rsio/api/views/views';
import { plural } from '@rsio/base/lib/units';
import { programVersion } from '@rsio/base/lib/version';
import { isOpen, jobText } from '../jobs/job-plan.ts';
import type { JobRecord } from '../jobs/job-record.ts';
import { hasEnded, type VoterRecord } from '../mirrors/voter-rules.ts';
import type { Voters, VoterView } from '../mirrors/voters.ts';
import type { PoolState } from '../pools/catalogue.ts';
import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import type { MirrorConfig } from '@rsio/protocol/wire/mirror-messages';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { Farms } from '../farm/farms.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { ChangeQueue } from './change-queue.ts';
import { sharedPoolView } from './farm-handlers.ts';
import { READINESS_REASONS_MAX } from './limits.ts';
import type { SessionStatus } from './server-views.ts';

type Reason = Readiness['reasons'][number];

export interface ReadinessFacts {
  readonly server: string;
  readonly startedMs: number;
  readonly pools: readonly PoolState[];
  readonly shared: readonly SharedPoolView[];
  readonly sessions: readonly SessionStatus[];
  readonly served: readonly ServedVolume[];
  readonly records: readonly VoterView[];
  readonly jobs: readonly JobRecord[];
  /** The change that the server is making; null if it is making none. */
  readonly change: string | null;
  /** Returns the client that has not yet sent again all writes that the storage of the volume may have lost; null if there is none. */
  unsettled(volume: ServedVolume): string | null;
}

export interface ReadinessPorts {
  config(): { readonly server: { readonly name: string } };
  sessions(): readonly SessionStatus[];
  readonly farms: Pick<Farms, 'list'>;
  readonly voters: Pick<Voters, 'views'>;
  readonly changes: Pick<ChangeQueue, 'current'>;
  readonly clients: {
    readonly holds: Pick<Holds, 'unsettledNode'>;
    readonly volumes: Pick<Volumes, 'served'>;
    incarnation(volume: ServedVolume): string;
  };
}

export function readinessHandler(
  ports: ReadinessPorts,
  pools: { readonly states: readonly PoolState[] },
  jobs: { readonly list: readonly JobRecord[] },
  startedMs: number,
): Pick<HandlersOf<typeof OBSERVING_METHODS>, 'readiness'> {
  const facts = (): ReadinessFacts => {
    const { farms, voters, changes, clients } = ports;
    const { name } = ports.config().server;
    return {
      server: name,
      startedMs,
      pools: pools.states,
      jobs: jobs.list,
      records: voters.views,
      served: clients.volumes.served,
      shared: farms.list.map((pool) => sharedPoolView(pool, name)),
      sessions: ports.sessions(),
      change: changes.current?.what ?? null,
      unsettled: (volume) => clients.holds.unsettledNode(volume.id, clients.incarnation(volume)),
    };
  };
  return { readiness: () => readinessOf(facts()) };
}

export function readinessOf(facts: ReadinessFacts): Readiness {
  const { server, startedMs, pools, sessions, served } = facts;
  const all = [...mirrorReasons(facts), ...poolReasons(facts), ...clientReasons(facts), ...workReasons(facts)];
  const more = all.length - READINESS_REASONS_MAX;
  const reasons = more <= 0 ? all : [...all.slice(0, READINESS_REASONS_MAX), { kind: 'change' as const, text: `${more} further reasons` }];
  return {
    server,
    version: programVersion(),
    startedMs,
    sessions: sessions.length,
    pools: { ready: pools.filter(({ isOpen: is, trouble }) => is && trouble === null).length, total: pools.length },
    mirrors: served.filter(({ replica }) => replica !== undefined).length,
    votes: facts.records.filter(({ record }) => record !== null && isInUse(record)).length,
    isReady: reasons.length === 0,
    reasons,
    warnings: warningsOf(facts),
  };
}

/** Returns a reason for each mirror that a client uses and that could not go on without this server. */
function mirrorReasons({ served, records }: ReadinessFacts): Reason[] {
  return records.flatMap(({ mirror, record }) => {
    if (record === null || record.stored === null || !isInUse(record)) return [];
    const own = served.find(({ replica }) => replica?.mirror === mirror);
    const lacks = mirrorParts(record.voter, own?.replica?.identity ?? null, record.stored.config).map((parts) => restartLack(parts, OWN));
    const text = lacks.includes('replica')
      ? `Only this server has all writes of mirror ${own?.name ?? record.name}: wait until another replica is in sync (rsconfig mirror list)`
      : lacks.includes('votes')
        ? `Mirror ${record.name} needs the vote of this server, because a replica is not in sync, and its server may be away: wait until it is in sync (rsconfig mirror list)`
        : null;
    return text === null ? [] : [{ kind: 'mirror' as const, text }];
  });
}

/** A client may have the mirror attached. */
function isInUse(record: VoterRecord): boolean {
  return record.stored !== null && !hasEnded(record);
}

/** Stands for this server among the ids of the others. */
const OWN = 'own';

/**
 * What this server knows of a mirror, for each set of voters. It asks no other server: one whose replica lacks writes may be away, and the
 * others count as there. rsconfig servers asks all of them. `voter` and `identity`: of this server, whose replica is served.
 */
function mirrorParts(voter: string, identity: string | null, { members, inSync, voters, nextVoters }: MirrorConfig): MirrorParts[] {
  const idOf = new Map(members.map((one) => [one.identity, String(one.serverid)]));
  const lagging = members.filter((one) => !inSync.includes(one.identity));
  return (nextVoters === null ? [voters] : [voters, nextVoters]).map((set) => {
    const ownId = String(set.find((one) => one.voter === voter)?.serverid ?? OWN);
    const serverOf = (replica: string): string => {
      const id = idOf.get(replica) ?? replica;
      return replica === identity || id === ownId ? OWN : id;
    };
    return {
      replicas: [...new Set([...idOf.keys(), ...inSync])].map((replica) => ({
        server: serverOf(replica),
        inSync: inSync.includes(replica),
        isReachable: serverOf(replica) !== OWN || replica === identity,
      })),
      voters: set.map((one) =>
        one.voter === voter
          ? { server: OWN, answers: true }
          : { server: String(one.serverid), answers: !lagging.some(({ serverid }) => serverid === one.serverid) },
      ),
      majority: majorityOf(set.length),
    };
  });
}

function poolReasons({ server, shared }: ReadinessFacts): Reason[] {
  return shared.flatMap((pool) => {
    const { name, isHere, standing } = pool;
    const isChanging = standing === 'taking' || standing === 'leaving' || standing === 'ending';
    if (isChanging)
      return [{ kind: 'pool' as const, text: `Shared pool ${name} is changing its owner: wait until that has ended (rsadm farm)` }];
    if (!isHere || poolWithout(pool, new Set([server]))?.effect !== 'stops') return [];
    return [
      {
        kind: 'pool' as const,
        text: `No other server would take shared pool ${name}: start another owner, or move the pool (rsadm pool move)`,
      },
    ];
  });
}

function clientReasons(facts: ReadinessFacts): Reason[] {
  return facts.served.flatMap((volume) => {
    const node = facts.unsettled(volume);
    const text = `Client ${node} has not yet sent again what the storage of volume ${volume.name} may have lost: wait until it has`;
    return node === null ? [] : [{ kind: 'client', text }];
  });
}

function workReasons({ jobs, change }: ReadinessFacts): Reason[] {
  const open = jobs.filter(isOpen).map((job): Reason => ({ kind: 'job', text: `Job ${job.id} is open: ${jobText(job)} (rsadm jobs)` }));
  return change === null ? open : [...open, { kind: 'change', text: `The server is busy with ${change}` }];
}

function warningsOf({ sessions }: ReadinessFacts): string[] {
  const named = (what: string, nodes: readonly string[]): string[] =>
    nodes.length === 0 ? [] : [`${plural(nodes.length, 'client')} with ${what}: ${nodes.slice(0, READINESS_REASONS_MAX).join(', ')}`];
  return [
    ...named(
      'no path to this server now',
      sessions.filter(({ paths }) => paths === 0).map(({ node }) => node),
    ),
    ...named(
      'a single path to this server',
      sessions.filter(({ paths }) => paths === 1).map(({ node }) => node),
    ),
  ];
}
