// PING, PONG, FENCE and NOTIFY: the frames that use no slot.
// The cases in client/ test the reaction of a client to silence.

import { SERVER_DEAD_AFTER_MS } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Ping, ListAnswer } from '@rsio/protocol/wire/messages';
import { frameBytes, type RawClient } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, closed, equals, holds, sameBytes } from '../base/check.ts';
import { hex, pack } from '../base/pack.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

function pingFrame(number: number, clockMs: number): Buffer {
  return frameBytes({ op: OP.PING, body: Ping.encode({ number, clockMs, heard: 0, oldestMs: 0, generation: 0 }) });
}

async function pong(path: RawClient): Promise<Ping> {
  const { body } = await path.next(({ op }) => op === OP.PONG);
  return Ping.decode(body, 0, body.length);
}

function closesPath(id: string, section: string, expects: string, bytes: () => Buffer, log: RegExp): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const path = await target.path();
    path.send(bytes());
    await closed(path);
  };
  return serverCase(id, section, expects, run, { log });
}

async function fenced(path: RawClient): Promise<number> {
  return (await path.next(({ op }) => op === OP.FENCED)).aux;
}

const PING_CASES: readonly ServerCase[] = [
  serverCase('ping.pong', 'PING and PONG', 'PONG repeats number and clock of its PING', async (target) => {
    const path = await target.path();
    path.send(pingFrame(77, 1234.5));
    const { number, clockMs } = await pong(path);
    equals('number and clockMs', [number, clockMs], [77, 1234.5]);
  }),
  serverCase('ping.largest', 'PING and PONG', 'PONG repeats the largest possible number', async (target) => {
    const path = await target.path();
    path.send(pingFrame(NUMBER_MAX, 0));
    equals('number', (await pong(path)).number, NUMBER_MAX);
  }),
  serverCase('ping.heard', 'PING and PONG', 'PONG counts the PINGs received on this path', async (target) => {
    const path = await target.path();
    path.send(pingFrame(1, 0), pingFrame(2, 0), pingFrame(3, 0));
    const heard = [await pong(path), await pong(path), await pong(path)].map((one) => one.heard);
    equals('heard', heard, [1, 2, 3]);
  }),
  serverCase('ping.generation', 'PING and PONG', "PONG contains the generation of the server's list", async (target) => {
    const path = await target.path();
    path.send(pingFrame(1, 0));
    equals('generation', (await pong(path)).generation, path.welcome.generation);
  }),
  serverCase('ping.idle', 'PING and PONG', 'While nothing is executing, oldestMs is 0', async (target) => {
    const path = await target.path();
    path.send(pingFrame(1, 0));
    equals('oldestMs', (await pong(path)).oldestMs, 0);
  }),
  serverCase(
    'ping.from-server',
    'Liveness',
    'The server sends numbered PINGs of its own, which the client may answer with PONG',
    async (target) => {
      const first = await target.first();
      const { body } = await first.next(({ op }) => op === OP.PING);
      const ping = Ping.decode(body, 0, body.length);
      first.request({ op: OP.PONG, body: Ping.encode({ ...ping, heard: 1, oldestMs: 0, generation: 0 }) });
      await answered(await target.path(), { op: OP.LIST });
    },
  ),
  serverCase(
    'ping.slots-used-up',
    'Session, paths, slots',
    'PING is answered while the answers to READs in every slot are unread',
    async (target) => {
      const handle = await target.handle();
      const path = await target.path();
      const slots = Array.from({ length: 24 }, () => target.slot());
      path.request(...slots.map((slot) => ({ op: OP.READ, handle, slot, seq: 1, lba: SCRATCH, count: 2048 })));
      path.send(pingFrame(9, 0));
      equals('number', (await pong(path)).number, 9);
      for (const slot of slots) equals('The status of READ', (await path.answer(slot)).handle, 0);
    },
  ),
  serverCase('ping.storm', 'PING and PONG', 'Twenty thousand PINGs at once are each answered once', async (target) => {
    const path = await target.path();
    const count = 20_000;
    path.send(...Array.from({ length: count }, (_, number) => pingFrame(number, 0)));
    for (let number = 0; number < count; number++) equals('number', (await pong(path)).number, number);
  }),
  closesPath(
    'ping.no-body',
    'PING and PONG',
    'A PING without a body closes the path',
    () => frameBytes({ op: OP.PING }),
    /PING or PONG: body of 0 bytes/,
  ),
  closesPath(
    'ping.garbage',
    'PING and PONG',
    'A PING that is not a map closes the path',
    () => frameBytes({ op: OP.PING, body: hex('c1') }),
    /PING or PONG: body of 1/,
  ),
  closesPath(
    'pong.no-body',
    'PING and PONG',
    'A PONG without a body closes the path',
    () => frameBytes({ op: OP.PONG }),
    /PING or PONG: body of 0/,
  ),
  closesPath(
    'ping.negative',
    'PING and PONG',
    'A PING with a negative clock closes the path',
    () => frameBytes({ op: OP.PING, body: pack({ number: 1, clockMs: -1, heard: 0, oldestMs: 0, generation: 0 }) }),
    /PING or PONG: field clockMs/,
  ),
  serverCase(
    'ping.silence',
    'Liveness',
    'The server closes a path from which it has received nothing for 15 s',
    async (target) => {
      const startMs = performance.now();
      const path = await target.login(2);
      await path.ended(SERVER_DEAD_AFTER_MS + 30_000);
      const elapsedMs = performance.now() - startMs;
      holds(elapsedMs > SERVER_DEAD_AFTER_MS - 1_000, `The path was closed after ${Math.round(elapsedMs)} ms already`);
    },
    { needs: ['third node'], isPatient: true },
  ),
];

const FENCE_CASES: readonly ServerCase[] = [
  serverCase('fence.fenced', 'S5', 'The path that FENCE names is closed, and then the server sends FENCED', async (target) => {
    const [path, dead] = [await target.path(), await target.path()];
    path.request({ op: OP.FENCE, aux: dead.welcome.path });
    equals('The path of FENCED', await fenced(path), dead.welcome.path);
    await closed(dead);
  }),
  serverCase('fence.twice', 'S5', 'FENCE sent twice is answered twice', async (target) => {
    const [path, dead] = [await target.path(), await target.path()];
    const fence = { op: OP.FENCE, aux: dead.welcome.path };
    path.request(fence, fence);
    equals('The paths of both FENCED', [await fenced(path), await fenced(path)], [fence.aux, fence.aux]);
  }),
  serverCase('fence.gone', 'S5', 'FENCE of a path that is already closed is answered with FENCED', async (target) => {
    const [path, dead] = [await target.path(), await target.path()];
    dead.reset();
    await dead.ended();
    path.request({ op: OP.FENCE, aux: dead.welcome.path });
    equals('The path of FENCED', await fenced(path), dead.welcome.path);
  }),
  serverCase('fence.part-of-write', 'S5', 'After FENCED nothing of the path executes, such as a WRITE received in part', async (target) => {
    const [handle, slot] = [await target.handle(), target.slot()];
    const [path, dead] = [await target.path(), await target.path()];
    const whole = { op: OP.WRITE, handle, slot, seq: 1, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 8) };
    await answered(path, { ...whole, slot: path.homeSlot, body: filled(BLOCK, 7) });
    const bytes = frameBytes(whole);
    dead.send(bytes.subarray(0, bytes.length - 1));
    path.request({ op: OP.FENCE, aux: dead.welcome.path });
    await fenced(path);
    dead.send(bytes.subarray(-1));
    const { body } = await answered(path, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK });
    sameBytes('The place of the WRITE', body, filled(BLOCK, 7));
  }),
  closesPath(
    'fence.largest',
    'S5',
    'FENCE of path 2^32 - 1 closes the path',
    () => frameBytes({ op: OP.FENCE, aux: 0xffffffff }),
    /FENCE for path 4294967295/,
  ),
  serverCase(
    'fence.own',
    'S5',
    'FENCE of the path on which it arrives closes that path',
    async (target) => {
      const path = await target.path();
      path.request({ op: OP.FENCE, aux: path.welcome.path });
      await closed(path);
    },
    { log: /FENCE for path \d+, which cannot be dead/ },
  ),
  serverCase('fence.never-given', 'S5', 'FENCE of a number that was never granted closes the path', async (target) => {
    const path = await target.path();
    path.request({ op: OP.FENCE, aux: path.welcome.path + 1 });
    await closed(path);
  }),
];

const NOTIFY_CASES: readonly ServerCase[] = [
  serverCase(
    'notify.generation',
    'Liveness',
    "When the server's interfaces change, every path gets NOTIFY with a higher generation, which LIST and PONG then contain",
    async (target) => {
      const [path, other] = [await target.path(), await target.path()];
      const before = path.welcome.generation;
      await target.options.control?.reload();
      for (const one of [path, other]) {
        const { aux, body } = await one.next(({ op }) => op === OP.NOTIFY);
        holds(aux > before, `NOTIFY tells generation ${aux} after ${before}`);
        equals('Bytes of its body', body.length, 0);
        const list = await answered(one, { op: OP.LIST });
        equals('The generation of LIST', ListAnswer.decode(list.body, 0, list.body.length).generation, aux);
        one.send(pingFrame(1, 0));
        equals('The generation of PONG', (await pong(one)).generation, aux);
      }
    },
    { needs: ['control'] },
  ),
];

export const LIVENESS_CASES: readonly ServerCase[] = [...PING_CASES, ...FENCE_CASES, ...NOTIFY_CASES];
