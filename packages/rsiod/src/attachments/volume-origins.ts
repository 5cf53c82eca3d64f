// Remembers from which server each volume was last attached, across reboots, and refuses a volume that another server offers under the same
// id (docs/GUARANTEES.md G15): the disk of a server may have been copied, and a copy has older content. Invariant: without a person's order (--server), a volume of
// a pool that only its server uses is attached only from the server that had it last, and only while no other server offers its id. After a restart of rsiod, a volume
// that was attached goes on at the server that had it, whatever other servers offer, because a person or this check has decided before.

import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { StateFile } from '@rsio/base/files/state-file';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { atMost, integer, list, map, object, type Of, text } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { failure } from './choices.ts';
import { ORIGIN_ADDRESSES_MAX, ORIGINS_KEPT_MAX } from './limits.ts';
import { type Choice, chooseVolume, type HeldOffer, labelOf, type ServerOffer } from './offers.ts';

const ORIGIN = object({ server: text(), serverid: integer(), addresses: atMost(ORIGIN_ADDRESSES_MAX, list(text())) });
export type Origin = Of<typeof ORIGIN>;

/** Maps a namespace and the id of a volume to its origin, the latest last. */
const CONTENT = map(ORIGIN);
const REMEDY = 'until volumes are attached again, copies of servers are noticed only while both servers are there';

/** Attaches volumes in other processes. */
export type AttachLabels = (labels: readonly string[]) => Promise<AttachOutcome[]>;
export type PlacedOffer = HeldOffer & { readonly from: { readonly metAt: ReadonlySet<string> } };

/**
 * Returns true if a server is the one that was seen before. A server that was renamed, renumbered, or restored on other hardware keeps two
 * of its name, its serverid and an address. A copy that runs under a name of its own at an address of its own keeps at most one.
 */
export function isSameServer(before: Origin, now: Origin): boolean {
  const isAtAddress = now.addresses.some((address) => before.addresses.includes(address));
  return Number(before.server === now.server) + Number(before.serverid === now.serverid) + Number(isAtAddress) >= 2;
}

/** True for a volume of a pool that only its server uses. Servers of earlier releases, sections, mirrors and farms have no such offers. */
function isInOwnPool({ poolId, poolGeneration, mirror }: HeldOffer): boolean {
  return poolId !== null && poolGeneration === null && mirror === null;
}

/**
 * Returns why the volume must not be attached without a person's order; null if it may. `same`: all offers of this id in the namespace,
 * also of servers that are not in reach now. `known`: where it was attached last; null if this is not known.
 */
export function refusalOf(label: string, same: readonly PlacedOffer[], known: Origin | null): RsError | null {
  const [own] = same.filter(isInOwnPool);
  if (own === undefined) return null;
  const other = same.find(({ serverid }) => serverid !== own.serverid);
  const order = (server: string): string => `rsconfig -a ${label} --server ${server}`;
  if (other !== undefined)
    return new RsError(
      'E_AMBIGUOUS',
      `Servers ${own.server} and ${other.server} both offer ${label} with id ${own.id}, and their pools are not shared: one is a copy, and may have older content. ` +
        `Stop the server with the copy (rsadm identity new makes another server of it); if you know which one is right, ${order(own.server)} or ${order(other.server)} takes it`,
    );
  const now = originOf(own);
  if (known === null || isSameServer(known, now)) return null;
  return new RsError(
    'E_AMBIGUOUS',
    `${label} was last attached from server ${shown(known)}, and server ${shown(now)} offers its id ${own.id} now: this may be a copy with older content. ` +
      `If its pool was moved there, ${order(own.server)} takes it`,
  );
}

function shown({ server, serverid, addresses }: Origin): string {
  return `${server} (serverid ${serverid}${addresses[0] === undefined ? '' : `, ${addresses[0]}`})`;
}

function originOf({ server, serverid, from }: PlacedOffer): Origin {
  const addresses = [...new Set([...from.metAt].map((key) => key.slice(0, key.lastIndexOf('/'))))];
  return { server, serverid, addresses: addresses.slice(-ORIGIN_ADDRESSES_MAX) };
}

function keyOf({ namespace, id }: Pick<HeldOffer, 'namespace' | 'id'>): string {
  return `${namespace} ${id}`;
}

function refuseCopy(
  { label, offers }: Choice<PlacedOffer>,
  all: readonly PlacedOffer[],
  isAgain: boolean,
  origins: ReadonlyMap<string, Origin>,
): void {
  const [first] = offers;
  if (first === undefined || isSnapshot(first.name)) return;
  const known = origins.get(keyOf(first)) ?? null;
  if (isAgain && known !== null && offers.every((one) => one.serverid === known.serverid && isSameServer(known, originOf(one)))) return;
  const same = all.filter(({ namespace, id }) => namespace === first.namespace && id === first.id);
  const refusal = refusalOf(label, same, known);
  if (refusal !== null) throw refusal;
}

export class VolumeOrigins {
  private readonly file: StateFile<Of<typeof CONTENT>>;
  private readonly log: Pick<Log, 'warn'>;
  private known = new Map<string, Origin>();

  constructor(path: string, log: Pick<Log, 'warn'>) {
    this.file = new StateFile(path, { version: 1, shape: CONTENT, remedy: REMEDY }, () => Object.fromEntries(this.known));
    this.log = log;
  }

  async load(): Promise<void> {
    try {
      this.known = new Map(Object.entries((await this.file.load()) ?? {}));
    } catch (thrown) {
      this.log.warn(`${toRsError(thrown).message}; ${await this.file.setAside()}`);
    }
  }

  /**
   * Throws E_AMBIGUOUS. `all`: every offer. `isOrdered`: a person has named the server. `isAgain`: the volume was attached before a restart,
   * from a server with the serverid of the offers.
   */
  check(choice: Choice<PlacedOffer>, all: readonly PlacedOffer[], isOrdered: boolean, isAgain: boolean): void {
    if (!isOrdered) refuseCopy(choice, all, isAgain, this.known);
  }

  /** The origins of volumes, for the data process that is to attach them again. */
  of(volumes: readonly { readonly namespace: string; readonly id: string }[]): Readonly<Record<string, Origin>> {
    return Object.fromEntries(volumes.map(keyOf).flatMap((key) => (this.known.has(key) ? [[key, this.known.get(key)!]] : [])));
  }

  /** Records durably where a volume was attached. A volume of a shared pool or a mirror is known by its generations and terms. */
  async attached(offer: PlacedOffer): Promise<void> {
    if (isSnapshot(offer.name)) return;
    const [key, before, now] = [keyOf(offer), this.known.get(keyOf(offer)), originOf(offer)];
    if (isInOwnPool(offer) ? before !== undefined && isEqual(before, now) : before === undefined) return;
    this.known.delete(key);
    if (isInOwnPool(offer)) this.known.set(key, now);
    for (const oldest of this.known.keys()) if (this.known.size > ORIGINS_KEPT_MAX) this.known.delete(oldest);
    try {
      await this.file.save();
    } catch (thrown) {
      this.log.warn(`It was not recorded that ${labelOf(offer)} is at server ${now.server}: ${toRsError(thrown).message}`);
    }
  }

  /** Returns the volumes of a namespace that are not attached without --server, and why. */
  copiesIn(namespace: string, all: readonly PlacedOffer[]): { readonly volume: string; readonly why: string }[] {
    const byKey = new Map<string, PlacedOffer[]>();
    for (const offer of all) {
      if (offer.namespace !== namespace) continue;
      const same = byKey.get(keyOf(offer));
      if (same === undefined) byKey.set(keyOf(offer), [offer]);
      else same.push(offer);
    }
    return [...byKey].flatMap(([key, same]) => {
      const volume = labelOf(same[0]!);
      const refusal = refusalOf(volume, same, this.known.get(key) ?? null);
      return refusal === null ? [] : [{ volume, why: refusal.message }];
    });
  }

  /** Attaches volumes by labels in other processes, as far as they may be attached. */
  async guarded(
    labels: readonly string[],
    server: string | null,
    offers: readonly ServerOffer[],
    attach: AttachLabels,
  ): Promise<AttachOutcome[]> {
    const refused = new Map<string, AttachOutcome>();
    const choices = new Map<string, Choice<ServerOffer>>();
    for (const label of labels) {
      try {
        const choice = chooseVolume(offers, label, server);
        choices.set(label, choice);
        this.check(choice, offers, server !== null, false);
      } catch (thrown) {
        const error = toRsError(thrown);
        // A name that fits no volume or several is the business of the process that attaches.
        if (choices.has(label)) refused.set(label, failure(label, error));
      }
    }
    const outcomes = await attach(labels.filter((label) => !refused.has(label)));
    for (const { volume, error } of outcomes) {
      const [offer, ...others] = choices.get(volume)?.offers ?? [];
      if (error === null && offer !== undefined && others.length === 0) await this.attached(offer);
    }
    const rest = outcomes.values();
    return labels.map((label) => refused.get(label) ?? rest.next().value!);
  }
}

export type Origins = Pick<VolumeOrigins, 'load' | 'check' | 'attached' | 'guarded' | 'copiesIn' | 'of'>;

/**
 * For a data process, whose main process has checked what it is to attach. The data process itself checks what it attaches again after a
 * crash. `given`: the origins of these volumes.
 */
export function givenOrigins(given: Readonly<Record<string, Origin>>): Origins {
  const known = new Map(Object.entries(given));
  return {
    ...UNCHECKED_ORIGINS,
    check: (choice, all, isOrdered, isAgain) => {
      if (isAgain && !isOrdered) refuseCopy(choice, all, isAgain, known);
    },
  };
}

/** Checks nothing, and remembers nothing. */
export const UNCHECKED_ORIGINS: Origins = {
  load: () => Promise.resolve(),
  copiesIn: () => [],
  of: () => ({}),
  check: () => undefined,
  attached: () => Promise.resolve(),
  guarded: (labels, _server, _offers, attach) => attach(labels),
};

function isEqual(one: Origin, other: Origin): boolean {
  return one.server === other.server && one.serverid === other.serverid && one.addresses.join() === other.addresses.join();
}
