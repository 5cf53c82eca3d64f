// The logins of a host at a gate, for the worlds of gates: what the host has sent lies in the network or in a socket, until the process of the
// gate reads it. Invariant: nothing of a closed login is read.

import type { SeededRandom } from '@rsio/common/testing/seeded-random';
import type { GateRig, RigConnection } from '@rsio/rsiod/gates/nvme/testing/nvme-rig';

/** One login over one path. The host may have given it up already. */
export interface GateLogin {
  readonly admin: RigConnection;
  readonly io: RigConnection;
  /** What the host has sent and the gate has not read. */
  readonly sent: { readonly arrivesMs: number; readonly isAdmin: boolean; readonly bytes: Buffer }[];
  isOpen: boolean;
  keptAliveMs: number;
}

/** The host logs in and opens an I/O queue. A keep-alive time of 0 turns the keep-alive off. */
export function gateLogin(rig: GateRig, nowMs: number, keepAliveMs: number): GateLogin {
  rig.nowMs = nowMs;
  const admin = rig.login(undefined, { keepAliveMs });
  return { admin, io: rig.queue(admin), sent: [], isOpen: true, keptAliveMs: nowMs };
}

/** The host sends something, which arrives at `untilMs` at the earliest, and after everything that it has sent earlier. */
export function sendOver({ sent }: GateLogin, nowMs: number, untilMs: number, isAdmin: boolean, bytes: Buffer): void {
  sent.push({ arrivesMs: Math.max(nowMs, untilMs, sent.at(-1)?.arrivesMs ?? 0), isAdmin, bytes });
}

/**
 * The process of the gate reads one message, of any login, if one has arrived. `hasGap` looks whether the process has stood still. Returns
 * false if it has read nothing.
 */
export function readOne(rig: GateRig, logins: readonly GateLogin[], nowMs: number, random: SeededRandom, hasGap: () => boolean): boolean {
  const ready = logins.filter(({ isOpen, sent: [first] }) => isOpen && first !== undefined && first.arrivesMs <= nowMs);
  if (ready.length === 0 || hasGap()) return false;
  const login = random.pick(ready);
  const { isAdmin, bytes } = login.sent.shift()!;
  (isAdmin ? login.admin : login.io).receive(bytes);
  rig.settle();
  if (login.io.transport.destroyed) closeLogin(login);
  return true;
}

/** The gate closes the connections of a login, and the kernel drops what was not read. */
export function closeLogin(login: GateLogin): void {
  if (!login.isOpen) return;
  login.isOpen = false;
  login.sent.length = 0;
  for (const { connection } of [login.io, login.admin]) connection.close('the process stood still');
  for (const one of [login.io, login.admin]) one.vanish();
}
