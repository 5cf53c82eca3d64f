// Records who has each attachment, and decides who may have it together. Pure. Invariants: an order that is alone is the only owner of its
// volume, under whatever label, until the attachment that it wrote to is closed; what a lasting owner wants ends only by a detach or a loss; an
// attachment without an owner is closed.

// Design.
// An attachment is an OPEN of this client; an owner is somebody for whom it stays open. A lasting owner is a person (rsconfig -a), a program
// such as rsapp, the configuration, or a gate. Its claim is recorded in RUN/attached.json, and survives a restart of rsiod. An order is a
// command that attaches a volume for its own work, such as `rsconfig restore`. Its claim ends with the command, or with this process. An
// order that overwrites the volume is alone.
//
//   claim()  before the OPEN, so that no second owner slips in while the OPEN is under way
//     | refused: an alone order meets another owner, or another owner meets an alone order
//     v
//   settle()  the volume is attached                   giveUp()  it is not
//     |
//     +-- end()      an order has ended       \
//     +-- release()  a lasting owner detaches  } without an owner, the caller closes the attachment
//     +-- drop()     lost, or detached for all /
//
// What writes for an order may outlive the order: qemu-img goes on when rsconfig is killed. An order that is alone therefore keeps others away
// after its end, until its attachment is closed, although it is no owner any more.
//
// A restart forgets the orders. The volumes that only orders had are then attached once more and closed, because only CLOSE ends the hold
// that the earlier process has left (H1). Rules: G50.

import { RsError } from '@rsio/base/lib/errors';

export interface LastingOwner {
  readonly kind: 'lasting';
  readonly name: string;
}

export interface Order {
  readonly kind: 'order';
  readonly ticket: string;
  /** The command, for people: `rsconfig restore`. */
  readonly what: string;
  /** True if the order overwrites the volume, so that nobody else may have it attached here. */
  readonly isAlone: boolean;
}

export type Owner = LastingOwner | Order;

/** The owner of an attach that names none: a person who uses rsconfig. */
export const PERSON: LastingOwner = { kind: 'lasting', name: 'person' };

/** The owner of what the configuration wants attached. */
export const CONFIGURATION: LastingOwner = { kind: 'lasting', name: 'configuration' };

/**
 * The owner of what an earlier release attached, which recorded no owners: a person or a program. The detach of any program ends it, because
 * no program of that release could claim what it had.
 */
export const UNRECORDED: LastingOwner = { kind: 'lasting', name: 'unrecorded' };

export interface Claim {
  readonly label: string;
  /** Id of the volume; empty for a snapshot, which nobody can overwrite. */
  readonly id: string;
  readonly owner: Owner;
  /** True once the volume is attached for this owner. A loss or a detach ends settled claims only. */
  isSettled: boolean;
  /** True for an order that has ended, and that still keeps others away, because what writes for it may not have ended. */
  isEnding: boolean;
}

export class Owners {
  private claims: Claim[] = [];

  /** Throws E_IN_USE if this owner and another one exclude each other. */
  claim(label: string, id: string, owner: Owner): Claim {
    // The same volume may have another label, through another namespace.
    const others = this.claims.filter((one) => one.label === label || (id !== '' && one.id === id));
    const why = refusal(label, owner, others);
    if (why !== null) throw new RsError('E_IN_USE', why);
    const claim: Claim = { label, id, owner, isSettled: false, isEnding: false };
    this.claims.push(claim);
    return claim;
  }

  /** An owner that claims twice has one settled claim. */
  settle(claim: Claim): void {
    if (!this.claims.includes(claim)) return;
    claim.isSettled = true;
    this.claims = this.claims.filter((one) => one === claim || !one.isSettled || !isSame(one, claim));
  }

  giveUp(claim: Claim): void {
    this.claims = this.claims.filter((one) => one !== claim);
  }

  /**
   * Ends an order, and returns the label of its volume; null if the order has ended already. An order that is alone keeps others away until
   * `closed` or `drop`.
   */
  end(ticket: string): string | null {
    const ended = this.claims.find(({ owner, isEnding }) => owner.kind === 'order' && owner.ticket === ticket && !isEnding);
    if (ended?.owner.kind === 'order' && ended.owner.isAlone) ended.isEnding = true;
    else if (ended !== undefined) this.giveUp(ended);
    return ended?.label ?? null;
  }

  /** The volume is not attached, so that nothing of an order that has ended can write to it. */
  closed(label: string): void {
    this.claims = this.claims.filter((one) => one.label !== label || !one.isEnding);
  }

  /** Ends the settled claim of a lasting owner. */
  release(label: string, name: string): void {
    this.claims = this.claims.filter((one) => !(one.label === label && one.isSettled && isLasting(one, name)));
  }

  /** Ends all settled claims, because the volume is no longer attached, and will not be attached again. */
  drop(label: string): void {
    this.claims = this.claims.filter((one) => one.label !== label || !one.isSettled);
  }

  /** The names of the lasting owners. */
  lastingOf(label: string): string[] {
    const names = this.of(label).flatMap(({ owner }) => (owner.kind === 'lasting' ? [owner.name] : []));
    return [...new Set(names)];
  }

  ordersOf(label: string): string[] {
    return this.of(label).flatMap(({ owner }) => (owner.kind === 'order' ? [owner.what] : []));
  }

  isFree(label: string): boolean {
    return this.of(label).length === 0;
  }

  private of(label: string): Claim[] {
    return this.claims.filter((one) => one.label === label && !one.isEnding);
  }
}

function isLasting({ owner }: Claim, name: string): boolean {
  return owner.kind === 'lasting' && owner.name === name;
}

function isSame(one: Claim, { label, owner }: Claim): boolean {
  return one.label === label && owner.kind === 'lasting' && isLasting(one, owner.name);
}

/** Returns why the owner cannot have the volume beside the others; null if it can. */
function refusal(label: string, owner: Owner, others: readonly Claim[]): string | null {
  const ending = others.find(({ isEnding }) => isEnding);
  if (ending?.owner.kind === 'order')
    return `${ending.owner.what} has ended, but what it has left may still write: try again later, or end that with rsconfig -d ${ending.label} --force`;
  const alone = others.flatMap((one) => (one.owner.kind === 'order' && one.owner.isAlone ? [one.owner] : []))[0];
  if (alone !== undefined) return `${alone.what} overwrites it now: try again when that has ended`;
  const [other] = others;
  if (owner.kind === 'lasting' || !owner.isAlone || other === undefined) return null;
  if (other.owner.kind === 'order') return `${other.owner.what} uses it now: try again when that has ended`;
  const called = other.label === label ? '' : ` as ${other.label}`;
  return `It is attached here${called}, or will be attached again: detach it first (rsconfig -d ${other.label})`;
}
