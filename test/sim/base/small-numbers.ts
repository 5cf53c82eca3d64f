// Sequence numbers that wrap early. If sequence numbers wrapped only after 2^16 uses, no run of reasonable length would show a slot that is
// reused too early. To show early reuse of handles, a session has used all its handle numbers after a few OPENs. This module overrides the
// classes that count, so that production code needs no switch. The seed chooses the modulus.

import { SEQ_MODULUS } from '@rsio/protocol/link/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { SlotTable } from '@rsio/protocol/link/slot-table';
import { Slots } from '@rsio/protocol/client/requests/slots';
import { HandleNumbers } from '@rsio/rssrv/session/handle-numbers';
import { FEATURE } from '@rsio/protocol/wire/features';
import { Namespace } from '@rsio/rsiod/network/namespace';
import type { ClientIdentity } from '@rsio/protocol/auth/handshake-client';
import { override, overrideGetter } from './override.ts';

interface Numbered {
  seq: number;
}

let modulus = SEQ_MODULUS;

/** Sets the modulus of sequence numbers in this program. The modulus is a power of two. */
export function setSeqModulus(to: number): void {
  modulus = to;
}

const HANDLES_MAX = [8, 16, 0xffff, 0xffff];
/** Added to the seed, so that these draws differ from the world's. */
const SALT = 1_000_033;
let handlesMax = 0xffff;

/** Sets the number of handles that a session has in this program. The number is drawn with the seed of the world. */
export function drawHandlesMax(seed: number): void {
  handlesMax = new SeededRandom(seed * SALT).pick(HANDLES_MAX);
}

overrideGetter<HandleNumbers, number>(HandleNumbers, 'last', () => handlesMax);

let hasMirrors = false;

/** Sets whether clients in this program offer VOTE. */
export function setMirrors(to: boolean): void {
  hasMirrors = to;
}

// Clients offer no ADMIN, and VOTE only in worlds with mirrors. A longer HELLO would needlessly change the digests of all other worlds.
override<Namespace, [unknown], ClientIdentity>(Namespace, 'identityFor', (original) => (self, ends) => {
  const identity = original(self, ends);
  const others = identity.hello.features.filter((feature) => feature !== FEATURE.ADMIN && feature !== FEATURE.MIRROR);
  const features = hasMirrors ? [...others, FEATURE.MIRROR] : others;
  return { ...identity, hello: { ...identity.hello, features } };
});

// oxlint-disable-next-line typescript/unbound-method -- called with its object below
const take = Slots.prototype.take;
Slots.prototype.take = function (this: Slots, request) {
  const index = take.call(this, request);
  const slots: Numbered[] = Reflect.get(this, 'slots');
  const slot = slots[index]!;
  slot.seq %= modulus;
  return index;
};

// oxlint-disable-next-line typescript/unbound-method -- called with its object below
const giveUp = SlotTable.prototype.abandon;
SlotTable.prototype.abandon = function (this: SlotTable, slot, seq, handle) {
  const entries: Numbered[] = Reflect.get(this, 'entries');
  const entry = entries[slot];
  const isNext = entry !== undefined && seq === (entry.seq + 1) % modulus;
  if (isNext) entry.seq = (seq + SEQ_MODULUS - 1) % SEQ_MODULUS;
  const isFine = giveUp.call(this, slot, seq, handle);
  if (isNext && !isFine) entry.seq = (seq + modulus - 1) % modulus;
  return isFine;
};

// oxlint-disable-next-line typescript/unbound-method -- called with its object below
const receive = SlotTable.prototype.receive;
SlotTable.prototype.receive = function (this: SlotTable, header, path, bodyBytes, nowMs) {
  const entries: Numbered[] = Reflect.get(this, 'entries');
  const entry = entries[header.slot];
  // The next sequence number wraps at the small modulus.
  const isNext = entry !== undefined && header.seq === (entry.seq + 1) % modulus;
  if (isNext) entry.seq = (header.seq + SEQ_MODULUS - 1) % SEQ_MODULUS;
  const before = entry?.seq;
  const receipt = receive.call(this, header, path, bodyBytes, nowMs);
  // Restores the slot if the table has refused the request.
  if (isNext && receipt !== 'new' && entry.seq === before) entry.seq = (header.seq + modulus - 1) % modulus;
  return receipt;
};
