// Small predicates about a volume that was chosen to be attached, and the outcome of a failed attach. Pure. offers.ts chooses the volume,
// and attachments.ts acts on the predicates.

import { effectiveVolume, wantsAttached } from '@rsio/common/config/effective-volume';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import type { Frontends } from '../frontends/frontends.ts';
import type { Volume } from '../volumes/volume.ts';
import { type Choice, isCalledLike, labelOf, type Offer, type ServerOffer } from './offers.ts';
import type { AttachedElsewhere } from './attach-request.ts';
import { type Owners, UNRECORDED } from './owners.ts';
import { claimKey, ownersOf } from './pool-owner.ts';

/** The name by which the server of an offer knows this client. */
interface NodeOf {
  readonly config: { readonly nodename: string };
}

/** The claims (`claimKey`) under which connected servers own the pools of a volume, one for each pool. */
export function claimsOf(offers: readonly ServerOffer[]): ReadonlySet<string> {
  return new Set([...ownersOf(offers).values()].flat().map(claimKey));
}

/** The offers that `choose` returns; none if it throws. */
export function offersOf(choose: () => Choice<ServerOffer>): readonly ServerOffer[] {
  try {
    return choose().offers;
  } catch {
    return [];
  }
}

/** True if a server that might not be the owner of the volume's pool refused an OPEN with this error. */
export function mayBeElsewhere({ code }: RsError): boolean {
  return code === 'E_MOVED' || code === 'E_UNKNOWN_VOLUME' || code === 'E_HELD' || code === 'E_TAKEN';
}

export function isSnapshotChoice({ offers }: Choice<Offer>): boolean {
  return offers.slice(0, 1).some(({ name }) => isSnapshot(name));
}

export function anotherSnapshot(label: string): string {
  return `rsconfig -d ${label} ends the attempts, rsconfig -a ${label} then attaches the new one`;
}

export function keyOf({ label, offers }: Choice<Offer>): string {
  return `${label} ${offers[0]?.id ?? ''}`;
}

export function isConfiguredReadonly({ offers }: Choice<ServerOffer>): boolean {
  return offers.slice(0, 1).some(({ config, name }) => effectiveVolume(config, name).readonly);
}

export function isWanted({ offers }: Choice<ServerOffer>): boolean {
  return offers.slice(0, 1).some((offer) => wantsAttached(offer.config, offer));
}

/** Returns the volumes to which the key `attach` does not apply; null in a data process, where the key does not matter. */
export function wantedUnless(
  { elsewhere, attachesWanted = true }: { readonly elsewhere: AttachedElsewhere | null; readonly attachesWanted?: boolean },
  own: ReadonlySet<string>,
): ReadonlySet<string> | null {
  return attachesWanted ? (elsewhere?.detached ?? own) : null;
}

/** Throws E_IN_USE if the configuration wants the volume attached, so that no order may overwrite it. `detached`: see `Attachments`. */
export function refuseWanted(choice: Choice<ServerOffer>, detached: ReadonlySet<string>): void {
  if (isWanted(choice) && !detached.has(keyOf(choice)))
    throw new RsError('E_IN_USE', `The configuration wants it attached here: detach it first (rsconfig -d ${choice.label})`);
}

/**
 * Throws E_IN_USE if an order must not overwrite the volume although nobody has it attached here: the configuration wants it attached, or
 * its server still keeps a hold of this client, so that what had it may still have it. `detached`: null if the configuration does not matter.
 */
export function refuseOverwriting(choice: Choice<ServerOffer>, detached: ReadonlySet<string> | null): void {
  if (detached !== null) refuseWanted(choice, detached);
  const left = choice.offers.find(isLeftHeld);
  if (left !== undefined)
    throw new RsError('E_IN_USE', `Server ${left.server} says that this client holds it: detach it first (rsconfig -d ${choice.label})`);
}

/** Leaves a volume to the orders that have it, and throws E_IN_USE, if a program uses it and could write to it. */
export async function refuseUsed(volume: Volume, frontends: Pick<Frontends, 'usersOf'>): Promise<void> {
  const users = volume.readonly ? [] : await frontends.usersOf(volume);
  if (users.length === 0) return;
  volume.shownTo = 'orders';
  throw new RsError('E_IN_USE', `A command has it, or has left it, and ${users.join(', ')} may write to it: try again when that has ended`);
}

/** Ends the claim of one lasting owner, and returns the outcome, if the volume has others; null if nobody else wants it attached. */
export function leftToOthers(owners: Owners, label: string, owner: string): AttachOutcome | null {
  const lasting = owners.lastingOf(label);
  if (lasting.every((one) => one === owner || one === UNRECORDED.name)) return null;
  for (const one of [owner, UNRECORDED.name]) owners.release(label, one);
  return { volume: label, done: true, already: !lasting.includes(owner), device: null, error: null };
}

/** `offeredIds`: see `Attachments`. */
export function findAttached(
  volumes: readonly Volume[],
  { offers: [offer] }: Choice<Offer>,
  offeredIds: WeakMap<Volume, string>,
): Volume | undefined {
  return volumes.find(
    (volume) => offer !== undefined && isCalledLike(volume, offer) && (volume.id === offer.id || offeredIds.get(volume) === offer.id),
  );
}

export function goneMeanwhile(label: string): RsError {
  return new RsError('E_VOLUME', `${label} was detached while it was being attached`);
}

export function asOffer(volume: Volume): Offer {
  const { namespace, name, universe, id } = volume;
  return { namespace, name, universe, id, server: '', isConnected: true };
}

export function failure(volume: string, error: RsError): AttachOutcome {
  return { volume, done: false, already: false, device: null, error: { code: error.code, message: error.message } };
}

/** True if `name` is the label of the offered volume or, for a volume in universe 0, its bare name. */
export function isMeant(offer: Offer, name: string): boolean {
  return labelOf(offer) === name || (offer.name === name && offer.universe === 0);
}

/** True if an application of rsapp names the volume: `db`, `osl:db` or `db@1`. */
export function isApplied(
  volume: Pick<Offer, 'namespace' | 'name' | 'universe'>,
  applications: readonly { readonly volumes: readonly string[] }[],
): boolean {
  const { name, universe } = volume;
  const label = labelOf(volume);
  const names = [label, `${name}@${universe}`, ...(universe === 0 ? [name, label.replace(/@0$/, '')] : [])];
  return applications.some(({ volumes }) => volumes.some((one) => names.includes(one)));
}

/**
 * True if the server reports that this node holds the volume. Call this only for a volume that is not attached. Replicas do not count,
 * because a mirror ends the holds of its replicas itself.
 */
export function isLeftHeld({
  config,
  holders,
  isConnected,
  mirror,
}: Pick<ServerOffer, 'holders' | 'isConnected' | 'mirror'> & NodeOf): boolean {
  return isConnected && mirror === null && holders.some(({ node }) => node === config.nodename);
}
