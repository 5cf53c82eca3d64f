// REVOKE and REVOKED: a handle ends while its session continues. The server's own tests cover hanging storage and paths that fail during a
// revocation.

import { FEATURE } from '@rsio/protocol/wire/features';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { Revoke } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { RawClient, type RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, closed, equals, sameBytes } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

const SECTION = 'S11';

/** Adds a path to the shared session. The path may send REVOKE. */
async function agreed(target: Target): Promise<RawClient> {
  const first = await target.first();
  const path = target.keep(await RawClient.login(target.place(), target.identity(0, { features: [FEATURE.REVOKE] }), first));
  path.homeSlot = target.slot();
  return path;
}

function revoke(handle: number, tags: readonly number[] = []): RawRequest {
  return { op: OP.REVOKE, aux: handle, body: Revoke.encode({ tags }) };
}

async function revoked(path: RawClient): Promise<number> {
  const { aux, body } = await path.next(({ op }) => op === OP.REVOKED);
  equals('Bytes of the body of REVOKED', body.length, 0);
  return aux;
}

/** Makes a case with its own handle. If the case has revoked the handle, opens the volume again after the case, as a client does. */
function handleCase(id: string, expects: string, run: (path: RawClient, handle: number, target: Target) => Promise<void>): ServerCase {
  return serverCase(id, SECTION, expects, async (target) => {
    await target.plain();
    const path = await agreed(target);
    const { plain } = target.options.volumes;
    const { handle } = await path.open(plain);
    await run(path, handle, target);
    await answered(path, { op: OP.CLOSE, handle: (await path.open(plain)).handle });
  });
}

function closesPath(id: string, expects: string, request: (handle: number) => RawRequest, log: RegExp): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const handle = await target.handle();
    const path = await agreed(target);
    path.request(request(handle));
    await closed(path);
  };
  return serverCase(id, SECTION, expects, run, { log });
}

const READ = { op: OP.READ, lba: SCRATCH, count: BLOCK };
const WRITE = { op: OP.WRITE, lba: SCRATCH, count: BLOCK };

export const REVOKE_CASES: readonly ServerCase[] = [
  handleCase('revoke.revoked', 'The handle that REVOKE names is STALE from then on, and the server sends REVOKED', async (path, handle) => {
    path.request(revoke(handle));
    equals('The handle of REVOKED', await revoked(path), handle);
    await answered(path, { ...READ, handle }, 'STALE');
  }),
  handleCase('revoke.others', 'Another handle of the same volume is not affected', async (path, handle, target) => {
    path.request(revoke(handle));
    await revoked(path);
    await answered(path, { ...READ, handle: await target.handle() });
  }),
  handleCase('revoke.twice', 'REVOKE sent again after REVOKED is answered again', async (path, handle) => {
    path.request(revoke(handle));
    await revoked(path);
    path.request(revoke(handle));
    equals('The handle of REVOKED', await revoked(path), handle);
  }),
  handleCase('revoke.tag', 'An abandoned WRITE that arrives late is answered STALE and not executed', async (path, handle, target) => {
    const [other, slot] = [await target.handle(), target.slot()];
    await answered(path, { ...WRITE, handle: other, body: filled(BLOCK, 7) });
    path.request(revoke(handle, [slot, 1]));
    await revoked(path);
    await answered(path, { ...WRITE, handle, slot, body: filled(BLOCK, 8) }, 'STALE');
    const { body } = await answered(path, { ...READ, handle: other });
    sameBytes('The place of the WRITE', body, filled(BLOCK, 7));
  }),
  handleCase('revoke.next', 'The slot of an abandoned tag continues with the next seq', async (path, handle, target) => {
    const slot = target.slot();
    path.request(revoke(handle, [slot, 1]));
    await revoked(path);
    path.request({ ...READ, handle: await target.handle(), slot, seq: 2 });
    const { handle: status } = await path.next(({ op, slot: at }) => op === (OP.READ | ANSWER) && at === slot);
    equals('The status of a READ', status, STATUS.OK);
  }),
  closesPath(
    'revoke.never-given',
    'A handle that was never granted closes the path',
    () => revoke(0xffff),
    /REVOKE of handle 65535, which/,
  ),
  closesPath('revoke.largest', 'Handle 2^32 - 1 closes the path', () => revoke(0xffffffff), /REVOKE of handle 4294967295, which/),
  closesPath(
    'revoke.no-tag',
    'A tag that cannot be in flight closes the path',
    (handle) => revoke(handle, [0xffff, 1]),
    /names slot 65535 seq 1/,
  ),
  closesPath('revoke.bodiless', 'REVOKE without a body closes the path', (aux) => ({ op: OP.REVOKE, aux }), /REVOKE: body of 0 bytes/),
  serverCase(
    'revoke.not-agreed',
    'REVOKE and REVOKED',
    'REVOKE without the agreed feature closes the path',
    async (target) => {
      const [handle, path] = [await target.handle(), await target.path()];
      path.request(revoke(handle));
      await closed(path);
    },
    { log: /REVOKE was not negotiated/ },
  ),
];
