// Finds the mirrors of a namespace and asks their voters for their records. The servers' lists name the replicas, and each mirror's
// configuration names further servers. Nothing is claimed. Invariants: a server that has not answered is not asked again in the same
// survey; the reason for a missing answer is kept.

import { RsError, toRsError } from '@rsio/base/lib/errors';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { type StoredConfig, type Term, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { MIRRORS_ASKED_AT_ONCE_MAX, SURVEY_ROUNDS_MAX, VOTE_ASK_MS } from '../limits.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { MirrorNamespace } from './namespaces.ts';
import { highestConfig, highestPromise, serversOf } from '../votes/verdicts.ts';

export interface Said {
  /** The server's answer; null if the server did not answer. */
  readonly answer: VoteAnswer | null;
  /** The reason why the server did not answer; null if the server answered. */
  readonly trouble: RsError | null;
}

interface Listed {
  readonly server: MirrorServer;
  readonly volume: VolumeEntry;
}

export interface SurveyedMirror {
  readonly namespace: string;
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
  readonly listed: readonly Listed[];
  /**
   * Key: serverid. Value: the server's answer. The map has the servers that list a replica, and the servers of the configuration, as far as
   * this client knows them.
   */
  readonly said: ReadonlyMap<number, Said>;
  readonly servers: ReadonlyMap<number, MirrorServer>;
  readonly stored: StoredConfig | null;
  readonly promise: Term | null;
}

export interface NamedMirror {
  readonly name: string;
  readonly universe: number;
}

export interface FoundMirror {
  readonly namespace: MirrorNamespace;
  readonly survey: SurveyedMirror;
}

export async function findMirrors(namespaces: readonly MirrorNamespace[], { name, universe }: NamedMirror): Promise<FoundMirror[]> {
  const found = await Promise.all(
    namespaces.map(async (namespace) => (await surveyMirrors(namespace.name, namespace.servers)).map((survey) => ({ namespace, survey }))),
  );
  return found.flat().filter(({ survey }) => survey.name === name && survey.universe === universe);
}

export function unknownMirror({ name, universe }: NamedMirror): RsError {
  return new RsError(
    'E_UNKNOWN_VOLUME',
    `No connected server lists a replica of mirror ${name}@${universe}: rsconfig mirror list shows the mirrors`,
  );
}

/** `servers`: the servers of one namespace. */
export async function surveyMirrors(namespace: string, servers: readonly MirrorServer[]): Promise<SurveyedMirror[]> {
  const byId = new Map(servers.map((server) => [server.serverid, server]));
  const listed = new Map<string, Listed[]>();
  for (const server of servers)
    for (const volume of server.volumes)
      if (volume.mirror !== undefined) listed.set(volume.mirror, [...(listed.get(volume.mirror) ?? []), { server, volume }]);
  const silent = new Map<number, RsError>();
  return await severalAtOnce([...listed], MIRRORS_ASKED_AT_ONCE_MAX, async ([mirror, offers]) =>
    surveyed(namespace, mirror, offers, await ask(mirror, offers, byId, silent), byId),
  );
}

/** Asks the voters of one mirror, and no server about another one. */
export async function surveyMirror(namespace: string, servers: readonly MirrorServer[], mirror: string): Promise<SurveyedMirror> {
  const byId = new Map(servers.map((server) => [server.serverid, server]));
  const offers = servers.flatMap((server) => server.volumes.filter((one) => one.mirror === mirror).map((volume) => ({ server, volume })));
  return surveyed(namespace, mirror, offers, await ask(mirror, offers, byId, new Map()), byId);
}

/** Asks the servers that list the mirror, then the servers that the returned configurations name, until no new server is named. */
async function ask(
  mirror: string,
  listed: readonly Listed[],
  servers: ReadonlyMap<number, MirrorServer>,
  silent: Map<number, RsError>,
): Promise<Map<number, Said>> {
  const said = new Map<number, Said>();
  let wanted = new Set(listed.map(({ server }) => server.serverid));
  for (let round = 0; round < SURVEY_ROUNDS_MAX && wanted.size > 0; round++) {
    const known = [...wanted].flatMap((serverid) => servers.get(serverid) ?? []);
    const answers = await Promise.all(known.map((server) => askOne(mirror, server, silent)));
    for (const [index, server] of known.entries()) said.set(server.serverid, answers[index]!);
    const configs = [...said.values()].flatMap(({ answer }) => answer?.stored?.config ?? []);
    // If no server has a configuration, the creation or removal of the mirror was interrupted, and any server may have a record.
    const named = configs.length === 0 ? [...servers.keys()] : configs.flatMap((config) => [...serversOf(config)]);
    wanted = new Set(named.filter((serverid) => !said.has(serverid) && servers.has(serverid)));
  }
  return said;
}

async function askOne(mirror: string, server: MirrorServer, silent: Map<number, RsError>): Promise<Said> {
  const trouble = silent.get(server.serverid) ?? server.trouble;
  if (trouble !== null) return { answer: null, trouble };
  try {
    return { answer: await server.vote({ kind: 'record', mirror }, VOTE_ASK_MS), trouble: null };
  } catch (thrown) {
    const error = toRsError(thrown);
    silent.set(server.serverid, error);
    return { answer: null, trouble: error };
  }
}

function surveyed(
  namespace: string,
  mirror: string,
  listed: readonly Listed[],
  said: ReadonlyMap<number, Said>,
  servers: ReadonlyMap<number, MirrorServer>,
): SurveyedMirror {
  const answers = records(said);
  const stored = highestConfig(answers);
  const [member] = stored?.config.members ?? [];
  const [first] = listed;
  const name = member?.volume ?? first?.volume.name ?? '';
  const universe = member?.universe ?? first?.volume.universe ?? 0;
  return { namespace, mirror, name, universe, listed, said, servers, stored, promise: highestPromise(answers) };
}

/** Returns the answers of the servers that have a record of the mirror. */
export function records(said: ReadonlyMap<number, Said>): VoteAnswer[] {
  return [...said.values()].flatMap(({ answer }) => (answer?.voted === VOTED.DONE ? [answer] : []));
}
