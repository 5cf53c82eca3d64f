// The end and the start of a server, as clients see them. The suite runs these cases after all other cases, and only if it may restart the
// server. The cases in client/ test the reaction of rsiod.

import { PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { type ServerCase, serverCase } from '../base/case.ts';
import { byes, equals, failed, holds, refused, sameBytes } from '../base/check.ts';
import { OpenRequest } from '@rsio/protocol/wire/messages';
import { RawClient } from '../../support/peers/raw-peer.ts';
import { REPLICA_RESTART_CASES } from './mirror/replicas.ts';
import { MIRROR_RESTART_CASES } from './mirror/votes.ts';
import { filled, MARK_SECTORS, type Target } from '../base/target.ts';

/** Restarts the server while a session of the first node works; returns that session, and how long the server took to end. */
async function restarted(target: Target): Promise<{ readonly path: RawClient; readonly endMs: number }> {
  await target.handle();
  const path = await target.path();
  target.leave();
  const endMs = (await target.options.control?.restart()) ?? 0;
  return { path, endMs };
}

export const RESTART_CASES: readonly ServerCase[] = [
  serverCase(
    'restart.bye',
    'REFUSE and BYE',
    'A server that ends sends BYE E_SHUTTING_DOWN on every path and to every probe',
    async (target) => {
      const { path } = await restarted(target);
      path.frames.splice(0, path.frames.length, ...path.frames.filter(({ op }) => op !== OP.PING));
      await byes(path, 'E_SHUTTING_DOWN');
    },
    { needs: ['control'] },
  ),
  serverCase(
    'restart.strangers',
    'Step by step',
    'A server that ends refuses unproven connections with E_SHUTTING_DOWN, and does not wait for them',
    async (target) => {
      const [silent, halfway] = [await target.connectUnproven(), await target.connectUnproven()];
      await halfway.greet();
      const down = Promise.all([refused(silent, 'E_SHUTTING_DOWN'), refused(halfway, 'E_SHUTTING_DOWN')]);
      const [, { endMs }] = await Promise.all([down, restarted(target)]);
      holds(endMs < PROOF_TIMEOUT_MS, 'The end took as long as an unproven connection may');
    },
    { needs: ['control'] },
  ),
  serverCase(
    'restart.instance',
    'CHALLENGE',
    'A restarted server has another instance and knows no earlier session: E_NO_SESSION',
    async (target) => {
      const before = await (await target.connectUnproven()).greet();
      const { path } = await restarted(target);
      const peer = await target.connectUnproven();
      const after = await peer.greet();
      holds(after.instance !== before.instance, `The instance is ${after.instance} still`);
      equals('Server and serverid', [after.server, after.serverid], [before.server, before.serverid]);
      peer.prove(path.session);
      await refused(peer, 'E_NO_SESSION');
    },
    { needs: ['control'] },
  ),
  serverCase(
    'restart.holds',
    'Holders and epochs',
    'Holds survive a restart: the volume is HELD for others, and its holder finds its writes under the same identity',
    async (target) => {
      const before = await target.plain();
      await restarted(target);
      const other = await target.login(1);
      const body = OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly: true });
      await failed(other, { op: OP.OPEN, body }, 'HELD');
      const session = target.keep(await RawClient.begin(target.place(), target.identity()));
      const after = await session.open(target.options.volumes.plain);
      equals('id and identity', [after.id, after.identity], [before.id, before.identity]);
      const read = await session.call({ op: OP.READ, handle: after.handle, count: MARK_SECTORS });
      sameBytes('The mark', read.body, filled(MARK_SECTORS, 1));
    },
    { needs: ['control', 'second node'] },
  ),
  ...MIRROR_RESTART_CASES,
  ...REPLICA_RESTART_CASES,
];
