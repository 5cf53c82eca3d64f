// Cases about further paths of a session, and about the end of paths.
// holders.ts has the cases about holds after the end of a session.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, Refuse } from '@rsio/protocol/wire/messages';
import type { RawClient } from '../../../support/peers/raw-peer.ts';
import { waitFor } from '../../../support/programs/wait-for.ts';
import { type ServerCase, serverCase } from '../../base/case.ts';
import { answered, byes, closed, equals, failed, holds, refused, sameBytes } from '../../base/check.ts';
import { pack } from '../../base/pack.ts';
import { specMac } from '../../base/spec-keys.ts';
import { BLOCK, SCRATCH, type Target } from '../../base/target.ts';
import { greet, joinBody, proofFrame } from './handshake-steps.ts';

/**
 * Interval between joins in ms. The joins continue until the process of the session has certainly ended, so that the last joins arrive
 * afterwards.
 */
const LATE_EVERY_MS = 4;
const BYE = { op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good night' }) };

/** Tries to join with this session and secret. Expects a REFUSE with this code. */
async function refusesJoin(target: Target, index: number, join: { session: Uint8Array; secret: Buffer }, code: string): Promise<string> {
  const peer = await target.connectUnproven(target.identity(index));
  await peer.greet();
  peer.prove(join);
  return (await refused(peer, code)).sentence;
}

export const JOIN_CASES: readonly ServerCase[] = [
  serverCase('join.path', 'WELCOME', 'A join gets a WELCOME to the same session with a path number of its own', async (target) => {
    const first = await target.first();
    const path = await target.path();
    equals('The session', Buffer.compare(path.welcome.session, first.welcome.session), 0);
    holds(path.welcome.path !== first.welcome.path, `Two paths have number ${path.welcome.path}`);
    equals('Slots and window', [path.welcome.slots, path.welcome.windowBytes], [first.welcome.slots, first.welcome.windowBytes]);
  }),
  serverCase('join.numbers', 'WELCOME', 'The number of a path is never reused in its session', async (target) => {
    const one = await target.path();
    one.close();
    const other = await target.path();
    holds(other.welcome.path > one.welcome.path, `Path ${other.welcome.path} was begun after path ${one.welcome.path}`);
  }),
  serverCase(
    'join.wrong-secret',
    'Step by step',
    'A join with a wrong secret is refused with E_AUTH',
    async (target) => {
      const first = await target.first();
      await refusesJoin(target, 0, { session: first.welcome.session, secret: Buffer.alloc(32) }, 'E_AUTH');
    },
    { log: /does not know the secret of the session/ },
  ),
  serverCase('join.one-mac', 'PROOF', 'A join without the mac of the session is refused with E_AUTH', async (target) => {
    const { session } = (await target.first()).welcome;
    const { peer, keys } = await greet(target);
    peer.send(proofFrame(keys, pack({ session, dead: [] })));
    await refused(peer, 'E_AUTH');
  }),
  serverCase('join.unknown-session', 'Step by step', 'A join of an unknown session is refused with E_NO_SESSION', async (target) => {
    await refusesJoin(target, 0, { session: randomBytes(16), secret: Buffer.alloc(32) }, 'E_NO_SESSION');
  }),
  serverCase(
    'join.unknown-session-proved',
    'REFUSE and BYE',
    'E_NO_SESSION after a valid PROOF has the mac of its code under K',
    async (target) => {
      const { peer, keys } = await greet(target);
      peer.send(proofFrame(keys, joinBody(keys, randomBytes(32), { session: randomBytes(16), dead: [] })));
      const { op, body } = await peer.next();
      equals('What came', op, OP.REFUSE);
      const { code, mac } = Refuse.decode(body, 0, body.length);
      equals('Its code', code, 'E_NO_SESSION');
      sameBytes('Its mac', mac ?? Buffer.alloc(0), specMac(keys.base, 'refuse', keys, Buffer.from(code)));
      await peer.ended();
    },
  ),
  serverCase('join.refused-unproved', 'REFUSE and BYE', 'REFUSE of a wrong PROOF has no mac', async (target) => {
    const { peer, keys } = await greet(target);
    peer.send(proofFrame({ ...keys, base: randomBytes(32) }, pack({ session: null, dead: [] })));
    const { body } = await peer.next();
    equals('Code and mac', Refuse.decode(body, 0, body.length), { ...Refuse.decode(body, 0, body.length), code: 'E_AUTH', mac: null });
    await peer.ended();
  }),
  serverCase(
    'join.foreign-session',
    'Step by step',
    "A join of another node's session is refused like an unknown session: E_NO_SESSION with the same text",
    async (target) => {
      const sentence = await refusesJoin(target, 1, (await target.first()).session, 'E_NO_SESSION');
      const unknown = { session: randomBytes(16), secret: Buffer.alloc(32) };
      equals('The sentence', await refusesJoin(target, 1, unknown, 'E_NO_SESSION'), sentence);
    },
    { needs: ['second node'] },
  ),
  serverCase(
    'join.dead-path',
    'Step by step',
    'A path that PROOF names as dead is closed, and WELCOME counts as its FENCED',
    async (target) => {
      const first = await target.first();
      const dead = await target.path();
      const path = await target.join(first, [dead.welcome.path]);
      await closed(dead);
      path.homeSlot = target.slot();
      await path.verify(await target.handle(), SCRATCH, BLOCK);
    },
  ),
  serverCase('join.dead-begun-write', 'S5', 'A request received in part on a path named as dead never executes', async (target) => {
    const [handle, slot] = [await target.handle(), target.slot()];
    const dead = await target.path();
    const wrote = await target.path();
    await answered(wrote, { op: OP.WRITE, handle, lba: SCRATCH, count: BLOCK, body: Buffer.alloc(BLOCK * 512, 7) });
    dead.request({ op: OP.WRITE, handle, slot, seq: 1, lba: SCRATCH, count: BLOCK, body: Buffer.alloc(BLOCK * 512 - 1, 8) });
    const path = await target.join(await target.first(), [dead.welcome.path]);
    await closed(dead);
    path.homeSlot = target.slot();
    const { body } = await answered(path, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK });
    equals('The byte at the place of the WRITE', body[0], 7);
  }),
  serverCase(
    'join.most-paths',
    'Session, paths, slots',
    'A session has at most 64 paths; one more gets BYE E_LIMIT instead of WELCOME',
    async (target) => {
      const first = await target.first();
      const paths: RawClient[] = [];
      // Paths of earlier cases may still be closing.
      while (paths.length < PATHS_PER_TRUNK_MAX - 1) paths.push(await target.join(first));
      const over = await target.connectUnproven();
      await over.greet();
      over.prove(first.session);
      await byes(over, 'E_LIMIT');
      await first.call({ op: OP.LIST });
    },
  ),
  serverCase(
    'session.new-ends-old',
    'S9',
    'A new session of a node ends its old one, whose slots and handles become invalid',
    async (target) => {
      const old = await target.login(1);
      const further = await target.join(old);
      await old.call({ op: OP.LIST });
      const session = await target.login(1);
      await Promise.all([old.ended(), further.ended()]);
      await refusesJoin(target, 1, old.session, 'E_NO_SESSION');
      await answered(session, { op: OP.LIST });
      await failed(session, { op: OP.CLOSE, handle: 1 }, 'STALE');
    },
    { needs: ['second node'] },
  ),
  serverCase(
    'session.lingers',
    'Liveness',
    'A session without a path stays, and its client can join it again',
    async (target) => {
      const session = await target.login(1);
      session.close();
      const again = await target.join(session);
      equals('The session', Buffer.compare(again.welcome.session, session.welcome.session), 0);
    },
    { needs: ['second node'] },
  ),
  serverCase(
    'bye.ends-session',
    'REFUSE and BYE',
    'BYE from a client ends its session with all paths, and later joins are refused',
    async (target) => {
      const session = await target.login(1);
      const further = await target.join(session);
      further.request(BYE);
      await closed(further);
      await session.ended();
      // While the process of the session ends, BYE may arrive instead of WELCOME.
      const isGone = (): Promise<boolean> => refusesJoin(target, 1, session.session, 'E_NO_SESSION').then(() => true);
      await waitFor(isGone, 10_000, 'The session is gone');
    },
    { needs: ['second node'], log: /The client said: Good night/ },
  ),
  serverCase(
    'bye.late-joins',
    'S9',
    'A join that arrives while its session ends is refused, gets BYE or is closed; none is left open',
    async (target) => {
      const session = await target.login(1);
      session.request(BYE);
      const joins = Array.from({ length: 12 }, async (_, index) => {
        await sleep(index * LATE_EVERY_MS);
        const late = await target.connectUnproven(target.identity(1));
        await late.greet();
        late.prove(session.session);
        await late.ended();
      });
      await Promise.all(joins);
    },
    { needs: ['second node'] },
  ),
  serverCase(
    'bye.not-a-farewell',
    'REFUSE and BYE',
    'A BYE with an invalid body closes the path and does not end the session',
    async (target) => {
      const path = await target.path();
      path.request({ op: OP.BYE, body: Buffer.from([0x80]) });
      await closed(path);
      await answered(await target.path(), { op: OP.LIST });
    },
  ),
];
