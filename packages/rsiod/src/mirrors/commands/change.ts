// Finds the mirror that a command changes, and asks the decider of this mirror to grant a wish. The mirror must be attached on this
// machine, and a majority of its voters must answer. Invariants: nothing is created or claimed before both conditions are checked; each
// refusal contains a remedy. A wish that is not granted in time is withdrawn. If the voters may already have agreed to the wish, the error
// says so, and the holder of the mirror completes the change.

import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import { within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration, quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { MirrorWish } from '@rsio/protocol/mirror/membership/interface';
import type { MirrorConfig, MirrorVoter } from '@rsio/protocol/wire/mirror-messages';
import type { MirrorDriver } from '../mirror-driver.ts';
import { STEP_AGREED_MS, VOTERS_MAX } from '../limits.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { MirrorNamespace } from './namespaces.ts';
import type { FoundMirror, SurveyedMirror } from './survey.ts';
import { holderOf } from '../votes/verdicts.ts';
import { serverOf } from './views.ts';

export type HeldMirror = Pick<MirrorDriver, 'mirror' | 'view' | 'hasEnded' | 'wish'>;

export interface ChangedAttachment {
  readonly driver: HeldMirror;
  readonly io: { readonly volume: { readonly blockSizeBytes: number } | null };
}

export interface MirrorChange {
  readonly namespace: MirrorNamespace;
  readonly label: string;
  readonly survey: SurveyedMirror;
  /** The configuration before the change. */
  readonly config: MirrorConfig;
  readonly held: HeldMirror;
  readonly blockSizeBytes: number;
  readonly term: number;
}

/** Checks that the members and voters of the mirror can be changed now. Throws E_AMBIGUOUS, E_BUSY, E_HELD, E_NO_PATH, E_VOLUME. */
export function changeOf(found: readonly FoundMirror[], attachedAt: (label: string) => ChangedAttachment | null): MirrorChange {
  const labels = [...new Set(found.map(({ survey }) => volumeLabel(survey)))];
  const label = labels.find((one) => attachedAt(one) !== null) ?? labels[0] ?? '';
  if (labels.length > 1)
    throw new RsError('E_AMBIGUOUS', `There are ${labels.join(' and ')}: name the namespace, as in ${labels[0] ?? ''}`);
  const attached = attachedAt(label);
  const held = attached?.driver ?? null;
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
  return { namespace, label, survey, config, held, blockSizeBytes: attached?.io.volume?.blockSizeBytes ?? 512, term: held.view.term };
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

/**
 * Returns the serverid for the name of a server. A server that this client has never reached has the name `server N` or N, where N is its
 * serverid. Throws E_USAGE.
 */
export function serveridOf({ namespace, survey, config, label }: MirrorChange, name: string): number {
  const known = namespace.servers.find((server) => server.name === name);
  if (known !== undefined) return known.serverid;
  const ids = [...new Set([...config.members, ...config.voters].map(({ serverid }) => serverid))];
  const unreached = ids.find((serverid) => !survey.servers.has(serverid) && (name === `server ${serverid}` || name === `${serverid}`));
  if (unreached !== undefined) return unreached;
  const names = ids.map((serverid) => (survey.servers.has(serverid) ? serverOf(survey, serverid).server : `"server ${serverid}"`));
  throw new RsError('E_USAGE', `No server ${quoteText(name)} belongs to mirror ${label}: its servers are ${names.join(', ')}`);
}

/** Returns the serverids of the voters without a replica. Servers that answer come before servers that do not. */
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

/**
 * Returns the servers that must vote after a change of the replicas: the server of each replica, and witnesses up to VOTERS_MAX. A mirror
 * with one replica gets no single witness: with two voters, both would have to answer. `witnesses`: the servers without a replica that can
 * vote, the preferred ones first.
 */
export function votersFor(replicas: readonly number[], witnesses: readonly number[]): number[] {
  const others = witnesses.filter((one) => !replicas.includes(one));
  const voters = [...replicas, ...others.slice(0, Math.max(0, VOTERS_MAX - replicas.length))];
  return replicas.length === 1 && voters.length === 2 ? [...replicas] : voters;
}

/**
 * Waits until the decider has fulfilled the wish. Throws E_VOLUME if the decider refuses, or E_TIMEOUT with a text that names what was
 * missing.
 */
export async function grant(held: HeldMirror, clock: Pick<Clock, 'after'>, wish: MirrorWish): Promise<void> {
  const granted = held.wish(wish);
  const first = await within(clock, STEP_AGREED_MS, granted, () => null);
  if (first === '') return;
  if (first !== null) throw new RsError('E_VOLUME', first);
  const waitsFor = held.view?.waitsFor ?? 'its servers do not answer';
  const late = `The mirror did not do it within ${printDuration(STEP_AGREED_MS)}: ${waitsFor}`;
  const kept = await held.wish({ kind: 'stop' });
  if (kept === '') throw new RsError('E_TIMEOUT', late);
  const last = await within(clock, STEP_AGREED_MS, granted, () => null);
  if (last === '') return;
  throw new RsError('E_TIMEOUT', `${late}; ${last ?? kept}`);
}

/** Resolves with null if there is no answer within STEP_AGREED_MS. */

/**
 * True if a replica of this server is or may become a member. A replica may become a member if a configuration with this replica was sent,
 * or if the state of the mirror is unknown.
 */
export function mayBeMember({ hasEnded, view }: HeldMirror, serverid: number): boolean {
  return hasEnded || view === null || view.replicas.some((one) => one.server === serverid);
}
