// Completes the mirrors that this client can ask about by those whose clients are others. The servers tell an administrator the records of
// their votes (witness-list) and their volumes. Pure. Invariant: each mirror that a server tells has an entry; if no record tells its newest
// configuration for sure, its state is unknown, and each server that may vote for it is among its voters.

import { compareTerms } from '@rsio/base/structures/term-order';
import type { ServerMethods } from '../rssrv/server-methods.ts';
import type { MirrorSummary } from '../views/mirror-views.ts';
import type { Asked, Place } from './asked-servers.ts';

export type ToldVolumes = Asked<ServerMethods['volume-list']['result']>;
export type ToldRecords = Asked<ServerMethods['witness-list']['result']>;

interface Server {
  readonly place: Place;
  /** null: the server does not tell, here and below. */
  readonly volumes: ServerMethods['volume-list']['result']['volumes'] | null;
  readonly records: ServerMethods['witness-list']['result']['records'] | null;
}

type Vote = NonNullable<ServerMethods['witness-list']['result']['records'][number]['record']>;
type Version = NonNullable<Vote['stored']>;

/** `volumes` and `records`: the answers of all servers, in the same order. `known`: the mirrors by the voters that answer this client. */
export function withToldMirrors(
  known: readonly MirrorSummary[],
  volumes: readonly ToldVolumes[],
  records: readonly ToldRecords[],
): MirrorSummary[] {
  const all = volumes.map(
    ({ place, result }, index): Server => ({
      place,
      volumes: result?.volumes ?? null,
      records: records[index]?.result?.records ?? null,
    }),
  );
  const isSure = (namespace: string, mirror: string): boolean =>
    known.some((one) => one.namespace === namespace && one.mirror === mirror && one.state !== 'unknown');
  const told = [...new Set(all.map(({ place }) => place.namespace))].flatMap((namespace) => {
    const servers = all.filter(({ place }) => place.namespace === namespace);
    return mirrorsIn(servers).flatMap((mirror) => (isSure(namespace, mirror) ? [] : [toldMirror(namespace, mirror, servers)]));
  });
  const isTold = (one: MirrorSummary): boolean =>
    told.some(({ namespace, mirror }) => namespace === one.namespace && mirror === one.mirror);
  return [...known.filter((one) => !isTold(one)), ...told];
}

/** The mirrors with a replica, or whose replicas may be on servers that do not tell. What a removed mirror has left does not count. */
function mirrorsIn(servers: readonly Server[]): string[] {
  const listed = servers.flatMap(({ volumes }) => (volumes ?? []).flatMap((one) => one.mirror ?? []));
  const mayBe = servers.flatMap(({ records }) =>
    (records ?? []).flatMap(({ mirror, record }) =>
      (record?.members ?? []).some(({ serverid }) => (serverOf(servers, serverid)?.volumes ?? null) === null) ? [mirror] : [],
    ),
  );
  return [...new Set([...listed, ...mayBe])];
}

function serverOf(servers: readonly Server[], serverid: number): Server | null {
  return servers.find(({ place }) => place.serverid === serverid) ?? null;
}

function recordAt({ records }: Server, mirror: string) {
  return records?.find((one) => one.mirror === mirror) ?? null;
}

function toldMirror(namespace: string, mirror: string, servers: readonly Server[]): MirrorSummary {
  const votes = servers.flatMap((one) => recordAt(one, mirror)?.record ?? []);
  const versions = votes.flatMap((vote) => (vote.stored === null || vote.stored === undefined ? [] : [{ vote, version: vote.stored }]));
  const [newest] = versions.toSorted((a, b) => compareVersions(b.version, a.version));
  // A record of an earlier release does not tell the version of its configuration, which may be the newest.
  if (newest === undefined || votes.some(({ stored }) => stored === undefined)) return unknownMirror(namespace, mirror, servers);
  const { name, universe, members, voters, isDetached, term } = newest.vote;
  const [promise = null] = votes.flatMap((one) => one.term ?? []).toSorted((a, b) => compareTerms(b, a));
  const hasEnded = isDetached && term !== null && promise !== null && compareTerms(term, promise) === 0;
  return {
    ...{ namespace, mirror, name: members[0]?.volume ?? name, universe: members[0]?.universe ?? universe, state: 'known', sizeBytes: null },
    replicas: members.map(({ serverid, volume, universe: at, inSync }) => {
      const its = serverOf(servers, serverid)?.volumes ?? null;
      const isReachable = its?.some((one) => one.mirror === mirror && one.state === 'served') === true;
      return { ...named(servers, serverid), volume, universe: at, inSync, isReachable, isSilent: its === null, copy: null };
    }),
    voters: voters.map(({ serverid, voter }) => {
      const server = serverOf(servers, serverid);
      const answers = server !== null && recordAt(server, mirror)?.record?.voter === voter;
      const trouble = answers ? null : 'The server does not tell a record of the mirror';
      return { ...named(servers, serverid), answers, isSilent: (server?.records ?? null) === null, trouble };
    }),
    majority: Math.floor(voters.length / 2) + 1,
    holder: hasEnded ? null : (promise?.node ?? null),
  };
}

function unknownMirror(namespace: string, mirror: string, servers: readonly Server[]): MirrorSummary {
  const replicas = servers.flatMap(({ place: { server, serverid }, volumes }) =>
    (volumes ?? []).flatMap(({ name: volume, universe, mirror: its }) => {
      const state = { inSync: false, isReachable: false, isSilent: false, copy: null };
      return its === mirror ? [{ server, serverid: serverid ?? 0, volume, universe, ...state }] : [];
    }),
  );
  const maybe = servers.filter((one) => one.records === null || recordAt(one, mirror) !== null);
  const voters = maybe.map(({ place: { server, serverid }, records }) => ({
    ...{ server, serverid: serverid ?? 0, answers: false, isSilent: records === null, trouble: 'The server does not tell its record' },
  }));
  const record = maybe.map((one) => recordAt(one, mirror)?.record ?? null).find((one) => one !== null);
  const name = replicas[0]?.volume ?? record?.name ?? mirror;
  const universe = replicas[0]?.universe ?? record?.universe ?? 0;
  return { namespace, mirror, name, universe, state: 'unknown', sizeBytes: null, replicas, voters, majority: 0, holder: null };
}

/** The name of a server that this client never reached is `server N`, as rsiod says it. */
function named(servers: readonly Server[], serverid: number): { server: string; serverid: number } {
  return { server: serverOf(servers, serverid)?.place.server ?? `server ${serverid}`, serverid };
}

function compareVersions(a: Version, b: Version): number {
  return compareTerms(a, b) || a.k - b.k;
}
