// Owners of attachments: who excludes whom, and random lives of a volume with all events that can come at any moment. The attachments around
// the decider are tested in orders.test.ts. Rules: G50.

import { toRsError } from '@rsio/base/lib/errors';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { describe, expect, test } from 'vitest';
import { type Claim, type Owner, Owners, PERSON } from './owners.ts';

const CSI: Owner = { kind: 'lasting', name: 'csi' };
const read: Owner = { kind: 'order', ticket: 'r', what: 'rsconfig backup', isAlone: false };
const overwrite: Owner = { kind: 'order', ticket: 'o', what: 'rsconfig restore', isAlone: true };

const refusalOf = (first: Owner, second: Owner, label = 'a:db@0', isSettled = true): string | null => {
  const owners = new Owners();
  const claim = owners.claim('a:db@0', 'id', first);
  if (isSettled) owners.settle(claim);
  try {
    owners.claim(label, 'id', second);
    return null;
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return `${code} ${message}`;
  }
};

describe.each([true, false])('the first one has the volume: %s', (isSettled) => {
  test.each([
    [PERSON, CSI, null],
    [PERSON, read, null],
    [read, PERSON, null],
    [PERSON, overwrite, 'E_IN_USE It is attached here, or will be attached again: detach it first (rsconfig -d a:db@0)'],
    [read, overwrite, 'E_IN_USE rsconfig backup uses it now: try again when that has ended'],
    [overwrite, PERSON, 'E_IN_USE rsconfig restore overwrites it now: try again when that has ended'],
    [overwrite, read, 'E_IN_USE rsconfig restore overwrites it now: try again when that has ended'],
    [overwrite, { ...overwrite, ticket: 'p' }, 'E_IN_USE rsconfig restore overwrites it now: try again when that has ended'],
  ] as const)('%j, then %j', (first, second, expected) => {
    expect(refusalOf(first, second, 'a:db@0', isSettled)).toBe(expected);
  });
});

test('the same volume under another label counts, and a snapshot of it does not', () => {
  expect(refusalOf(PERSON, overwrite, 'b:db@0')).toContain('It is attached here as a:db@0');
  const owners = new Owners();
  owners.claim('a:db@0@monday', '', read);
  expect(owners.claim('a:db@0', 'id', overwrite).label).toBe('a:db@0');
  expect(owners.claim('a:other@0', '', read).label).toBe('a:other@0');
});

/**
 * A model of rsiod around the decider: one volume, which is attached, being attached, being closed, awaited after a restart, or nothing of
 * these. Each event is one of those that can happen at any time.
 */
class Life {
  readonly random: SeededRandom;
  owners = new Owners();
  isAttached = false;
  isAwaited = false;
  closes: (() => void) | null = null;
  /** The claims whose OPEN is under way. */
  opening: Claim[] = [];
  /** Who has been told that he has the volume, and has not let go of it. */
  has = new Map<string, Owner>();
  /** True while something that an overwriting order has left may write. */
  isWritten = false;
  private tickets = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  step(): void {
    const events = [
      () => this.ask(PERSON),
      () => this.ask(CSI),
      () => this.ask({ kind: 'order', ticket: String(++this.tickets), what: 'x', isAlone: false }),
      () => this.ask({ kind: 'order', ticket: String(++this.tickets), what: 'x', isAlone: true }),
      () => this.answer(true),
      () => this.answer(true),
      () => this.answer(false),
      () => this.endOrder(),
      () => this.endOrder(),
      () => this.detach(this.random.chance(0.5)),
      () => this.release('csi'),
      () => this.closed(),
      () => this.closed(),
      () => this.lose(),
      () => this.restart(),
      () => this.bringBack(),
    ];
    events[this.random.int(0, events.length - 1)]!();
    this.check();
  }

  private ask(owner: Owner): void {
    try {
      this.opening.push(this.owners.claim('a:db@0', 'id', owner));
    } catch (thrown) {
      expect(toRsError(thrown).code).toBe('E_IN_USE');
    }
  }

  /** The server answers an OPEN, or the volume is attached already. An attach waits for the end of a detach. */
  private answer(isGranted: boolean): void {
    const claim = this.closes === null ? this.opening.shift() : undefined;
    if (claim === undefined) return;
    if (!isGranted && !this.isAttached) return this.owners.giveUp(claim);
    this.isAttached = true;
    this.isAwaited = false;
    this.owners.settle(claim);
    this.has.set(nameOf(claim.owner), claim.owner);
  }

  private endOrder(): void {
    const orders = [...this.has.values()].flatMap((one) => (one.kind === 'order' ? [one] : []));
    const ended = orders[this.random.int(0, Math.max(0, orders.length - 1))];
    if (ended === undefined) return;
    this.has.delete(ended.ticket);
    this.isWritten = ended.isAlone;
    expect(this.owners.end(ended.ticket)).toBe('a:db@0');
    expect(this.owners.end(ended.ticket)).toBe(null);
    this.closeUnowned();
  }

  private closeUnowned(): void {
    if (!this.isAttached || this.closes !== null || !this.owners.isFree('a:db@0')) return;
    this.closes = () => this.gone();
  }

  private detach(isForced: boolean): void {
    if (!this.isAttached || this.closes !== null) return;
    if (this.owners.ordersOf('a:db@0').length > 0 && !isForced) return;
    this.closes = () => this.gone();
  }

  private release(name: string): void {
    if (!this.isAttached || this.closes !== null || this.owners.lastingOf('a:db@0').every((one) => one === name)) return;
    this.owners.release('a:db@0', name);
    if (!this.opening.some(({ owner }) => nameOf(owner) === name)) this.has.delete(name);
  }

  private closed(): void {
    this.closes?.();
    this.closes = null;
  }

  private gone(): void {
    this.isAttached = false;
    this.isWritten = false;
    this.owners.drop('a:db@0');
    this.has.clear();
  }

  private lose(): void {
    if (this.isAttached) this.closed();
    if (this.isAttached) this.gone();
  }

  /** rsiod is killed. Its orders are over; its file has the lasting owners. */
  private restart(): void {
    const lasting = this.isAttached || this.isAwaited ? this.owners.lastingOf('a:db@0') : [];
    this.owners = new Owners();
    this.isWritten = false;
    this.isAwaited = this.isAttached || this.isAwaited;
    this.isAttached = false;
    this.closes = null;
    this.opening = [];
    for (const name of lasting) this.owners.settle(this.owners.claim('a:db@0', 'id', { kind: 'lasting', name }));
    for (const [name, owner] of this.has) if (owner.kind === 'order') this.has.delete(name);
  }

  private bringBack(): void {
    if (!this.isAwaited) return;
    this.isAwaited = false;
    this.isAttached = true;
    this.closeUnowned();
  }

  private check(): void {
    const all = [...this.has.values(), ...this.opening.map(({ owner }) => owner)];
    const alone = all.filter((one) => one.kind === 'order' && one.isAlone);
    // An order that overwrites is the only one who has the volume, or is about to have it.
    if (alone.length > 0) expect(all).toEqual(alone.slice(0, 1));
    // What an order that overwrites has left meets nobody.
    if (this.isWritten) expect(all).toEqual([]);
    // Whoever was told that he has the volume has it, or will have it again after a restart.
    if (this.has.size > 0) expect(this.isAttached || this.isAwaited).toBe(true);
    // A volume that nobody has is being closed, or will be after a restart.
    if (this.isAttached && this.owners.isFree('a:db@0')) expect(this.closes).not.toBe(null);
    // What a lasting owner has is recorded.
    const lasting = [...this.has.values()].flatMap((one) => (one.kind === 'lasting' ? [one.name] : []));
    expect(this.owners.lastingOf('a:db@0')).toEqual(expect.arrayContaining(lasting));
  }
}

function nameOf(owner: Owner): string {
  return owner.kind === 'order' ? owner.ticket : owner.name;
}

test('200 random lives of a volume', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const life = new Life(seed);
    for (let step = 0; step < 200; step++) life.step();
  }
});
