// The mirror that a command changes: found by its name, attached on this machine, and with most of its voters. Invariant: nothing is made or
// claimed before all of this is known; each refusal says what to do.

import { RsError } from '@rsio/common/lib/errors';
import { quoteText } from '@rsio/common/lib/units';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import type { MirrorConfig, MirrorVoter } from '@rsio/protocol/wire/mirror/messages';
import type { MirrorNamespace } from '../management/management.ts';
import type { MirrorServer } from '../management/mirror-server.ts';
import { surveyMirrors, type SurveyedMirror } from '../management/survey.ts';
import { holderOf, majorityOf } from '../management/verdicts.ts';
import { serverOf } from '../management/views.ts';
import type { HeldMirror } from './held-mirror.ts';

export interface NamedMirror {
  readonly namespace: string | null;
  readonly name: string;
  readonly universe: number;
}

export interface MirrorChange {
  readonly namespace: MirrorNamespace;
  /** As users see the mirror. */
  readonly label: string;
  readonly survey: SurveyedMirror;
  /** The configuration before the change. */
  readonly config: MirrorConfig;
  readonly held: HeldMirror;
  /** Number of the term. */
  readonly term: number;
}

export interface FoundMirror {
  readonly namespace: MirrorNamespace;
  readonly survey: SurveyedMirror;
}

/** The mirrors of this name that the servers list. */
export async function findMirrors(namespaces: readonly MirrorNamespace[], { name, universe }: NamedMirror): Promise<FoundMirror[]> {
  const found = await Promise.all(
    namespaces.map(async (namespace) => (await surveyMirrors(namespace.name, namespace.servers)).map((survey) => ({ namespace, survey }))),
  );
  return found.flat().filter(({ survey }) => survey.name === name && survey.universe === universe);
}

/** Throws if the members and voters of the mirror cannot be changed now. */
export function changeOf(found: readonly FoundMirror[], heldOf: (label: string) => HeldMirror | null): MirrorChange {
  const labels = [...new Set(found.map(({ survey }) => volumeLabel(survey)))];
  const label = labels.find((one) => heldOf(one) !== null) ?? labels[0] ?? '';
  if (labels.length > 1)
    throw new RsError('E_AMBIGUOUS', `There are ${labels.join(' and ')}: name the namespace, as in ${labels[0] ?? ''}`);
  const held = heldOf(label);
  const one = held === null ? found[0] : found.find(({ survey }) => survey.mirror === held.mirror);
  if (one === undefined) throw new RsError('E_NO_PATH', `No server of a replica of mirror ${label} is connected`);
  if (held === null) throw notHere(one, label);
  const { namespace, survey } = one;
  const { stored } = survey;
  if (held.view?.isServing !== true || stored === null)
    throw new RsError('E_BUSY', `Mirror ${label} is not usable yet: ${held.view?.waitsFor ?? 'its voters have not answered'}`);
  const { config } = stored;
  if (config.nextVoters !== null)
    throw new RsError('E_BUSY', `A change of the voters of mirror ${label} is not finished: ${held.view.waitsFor ?? 'try again'}`);
  checkMajority(survey, label, config.voters);
  return { namespace, label, survey, config, held, term: held.view.term };
}

function notHere({ namespace, survey: { stored, promise } }: FoundMirror, label: string): RsError {
  const holder = holderOf(stored, promise);
  if (holder === null) return new RsError('E_VOLUME', `No client has mirror ${label} attached: attach it first (rsconfig -a ${label})`);
  if (holder.node !== namespace.nodename)
    return new RsError('E_HELD', `Client ${holder.node} has mirror ${label} attached: give the command on that machine`);
  return new RsError(
    'E_BUSY',
    `Mirror ${label} is not attached here now, although this client has it: wait until rsiod has attached it again, or attach it (rsconfig -a ${label})`,
  );
}

function checkMajority(survey: SurveyedMirror, label: string, voters: readonly MirrorVoter[]): void {
  const silent = voters.filter(({ voter, serverid }) => survey.said.get(serverid)?.answer?.voter !== voter);
  if (voters.length - silent.length >= majorityOf(voters.length)) return;
  const names = silent.map(({ serverid }) => serverOf(survey, serverid).server).join(' and ');
  throw new RsError(
    'E_NO_PATH',
    `Too few voters of mirror ${label} answer to change it: ${names} ${silent.length === 1 ? 'is' : 'are'} missing`,
  );
}

/** A server by its name, or as `server N` or N if this client never reached it. */
export function serveridOf({ namespace, survey, config, label }: MirrorChange, name: string): number {
  const known = namespace.servers.find((server) => server.name === name);
  if (known !== undefined) return known.serverid;
  const ids = [...new Set([...config.members, ...config.voters].map(({ serverid }) => serverid))];
  const unreached = ids.find((serverid) => !survey.servers.has(serverid) && (name === `server ${serverid}` || name === `${serverid}`));
  if (unreached !== undefined) return unreached;
  const names = ids.map((serverid) => (survey.servers.has(serverid) ? serverOf(survey, serverid).server : `"server ${serverid}"`));
  throw new RsError('E_USAGE', `No server ${quoteText(name)} belongs to mirror ${label}: its servers are ${names.join(', ')}`);
}

/** The servers that vote and have no replica, those that answer first. */
export function witnessesOf({ config, survey }: MirrorChange): number[] {
  const ids = config.voters.map(({ serverid }) => serverid).filter((one) => !config.members.some(({ serverid }) => serverid === one));
  const isSilent = (serverid: number): number => Number((survey.said.get(serverid)?.answer ?? null) === null);
  return ids.sort((a, b) => isSilent(a) - isSilent(b));
}

export function memberAt({ config }: MirrorChange, serverid: number): MirrorConfig['members'][number] | null {
  return config.members.find((one) => one.serverid === serverid) ?? null;
}

export function isVoter({ config }: MirrorChange, serverid: number): boolean {
  return config.voters.some((one) => one.serverid === serverid);
}

export function nameOf({ survey }: MirrorChange, serverid: number): string {
  return serverOf(survey, serverid).server;
}

export function connected({ namespace }: MirrorChange, serverid: number): MirrorServer | null {
  return namespace.servers.find((server) => server.serverid === serverid) ?? null;
}
