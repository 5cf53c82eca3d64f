// Tests a trunk and its paths against a server that the test plays: the choice of paths, requests that are sent again, and the effects of
// answers. trunk-peer.test.ts tests violations. test/sim tests trunks against the real server, with random events. Rules: G2.

import { describe, expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { OUTPUT_QUEUED_MAX_BYTES } from '../link/limits.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { Farewell, Ping, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { HEDGE_MIN_MS } from './limits.ts';
import type { Request } from './requests/request.ts';

function read(scene: TrunkScene, count = 1): Request {
  return scene.submit(OP.READ, { count, bodyBytes: count * SECTOR_BYTES, buffer: Buffer.alloc(count * SECTOR_BYTES, 0xaa) });
}

function write(scene: TrunkScene, lba = 0, count = 1): Request {
  return scene.submit(OP.WRITE, { lba, count, bodyBytes: count * SECTOR_BYTES, buffer: Buffer.alloc(count * SECTOR_BYTES, lba) });
}

describe('sending', () => {
  test('requests of one event leave in one batch, spread over the paths', () => {
    const scene = new TrunkScene(2).start();
    for (let lba = 0; lba < 4; lba++) write(scene, lba);
    scene.clock.advance(1);
    expect(scene.server.paths.map((path) => path.requests(OP.WRITE).map(({ header }) => header.lba))).toEqual([
      [0, 2],
      [1, 3],
    ]);
    expect(scene.server.paths[0]?.requests(OP.WRITE)[1]?.body).toEqual(Buffer.alloc(SECTOR_BYTES, 2));
  });

  test('an answer completes the request, never within submit', () => {
    const scene = new TrunkScene(1).start();
    const request = read(scene, 2);
    expect(scene.done).toEqual([]);
    scene.clock.advance(1);
    const [path] = scene.server.paths;
    path!.answerIo(path!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(2 * SECTOR_BYTES, 7));
    scene.clock.advance(1);
    expect(scene.statusOf(request)).toBe(STATUS.OK);
    expect(request.buffer).toEqual(Buffer.alloc(2 * SECTOR_BYTES, 7));
  });

  test('a full output holds requests back, also from the suspect path beside it', () => {
    const scene = new TrunkScene(2).start();
    const big = OUTPUT_QUEUED_MAX_BYTES / 4 / SECTOR_BYTES;
    read(scene);
    read(scene);
    scene.clock.advance(1);
    scene.network.routes[0]!.stand('back', true);
    const second = scene.server.paths[1]!;
    second.answerIo(second.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    // The good path occasionally delivers data. The silent path becomes suspect, but is not dead yet.
    for (let times = 0; times < 5; times++) {
      second.say(OP.NOTIFY, 1);
      scene.clock.advance(100);
    }
    expect(scene.states).toEqual(['suspect', 'up']);
    scene.network.routes[1]!.stand('there', true);
    const sentBefore = scene.supervisors.map(({ totals }) => totals.requests);
    for (let lba = 0; lba < 20; lba++) write(scene, lba * big, big);
    scene.clock.advance(10);
    expect(scene.supervisors[0]!.totals.requests).toBe(sentBefore[0]);
    expect(scene.supervisors[1]!.totals.requests).toBeLessThan(sentBefore[1]! + 8);
  });
});

describe('a path that dies', () => {
  test('its requests are sent again elsewhere at once, and the path is fenced', () => {
    const scene = new TrunkScene(2).start();
    const request = read(scene);
    scene.clock.advance(1);
    const [first, second] = scene.server.paths;
    first!.connection.close('reset', true);
    scene.clock.advance(1);
    expect(second!.requests(OP.READ).length).toBe(1);
    expect(second!.requests(OP.FENCE).map(({ header }) => header.aux)).toEqual([0]);
    second!.answerIo(second!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    scene.clock.advance(1);
    expect(scene.statusOf(request)).toBe(STATUS.OK);
  });

  // Regression: the client closed the path with "Protocol error of the server: FENCED for path 0, which was not asked for".
  test('a FENCED after the WELCOME of a join that named the same path closes nothing', () => {
    const scene = new TrunkScene(2).start();
    const [first, second] = scene.server.paths;
    first!.connection.close('reset', true);
    scene.clock.advance(1);
    expect(second!.requests(OP.FENCE).length).toBe(1);
    scene.clock.advance(500);
    expect(scene.states).toEqual(['up', 'up']);
    expect(scene.server.paths[2]?.proven?.proof.dead).toEqual([0]);
    second!.say(OP.FENCED, 0);
    scene.clock.advance(1);
    expect(scene.states).toEqual(['up', 'up']);
    second!.say(OP.FENCED, 0);
    scene.clock.advance(1);
    expect(second!.closedReason).not.toBeNull();
  });

  test('its slots are not reused before FENCED, whatever the client knows about its end', () => {
    const scene = new TrunkScene(2);
    // With 9 slots, one slot is left for data, because 8 slots are reserved.
    scene.server.slots = 9;
    scene.start();
    scene.network.routes[0]!.reach = 'refused';
    const first = write(scene, 1);
    scene.clock.advance(1);
    const [dying, other] = scene.server.paths;
    scene.supervisors[0]!.path!.connection.close('carrier lost', true);
    scene.clock.advance(1);
    other!.answerIo(other!.requests(OP.WRITE)[0]!, STATUS.OK);
    scene.clock.advance(1);
    expect([dying!.requests(OP.WRITE).length, scene.statusOf(first)]).toEqual([1, STATUS.OK]);
    write(scene, 2);
    scene.clock.advance(100);
    expect(other!.requests(OP.WRITE).map(({ header }) => header.lba)).toEqual([1]);
    other!.say(OP.FENCED, 0);
    scene.clock.advance(1);
    expect(other!.requests(OP.WRITE).map(({ header }) => header.lba)).toEqual([1, 2]);
  });

  test('a request for FENCED on a path that becomes silent is repeated on another one', () => {
    const scene = new TrunkScene(3).start();
    const [first, second, third] = scene.server.paths;
    scene.network.routes[0]!.reach = 'refused';
    first!.connection.close('reset', true);
    scene.clock.advance(1);
    expect(second!.requests(OP.FENCE).length).toBe(1);
    scene.network.routes[1]!.stand('back', true);
    read(scene);
    read(scene);
    scene.clock.advance(1);
    for (let times = 0; times < 5; times++) {
      third!.pong();
      scene.clock.advance(100);
    }
    expect(scene.states[1]).toBe('suspect');
    expect(third!.requests(OP.FENCE).map(({ header }) => header.aux)).toEqual([0]);
  });

  test('a READ received there in part is received whole elsewhere', () => {
    const scene = new TrunkScene(2, {
      takeMs: () => 0,
      travelMs: () => 0,
      cut: (lengthBytes) => Math.min(lengthBytes, 1000),
      restMs: () => 5,
    }).start();
    const request = read(scene, 8);
    scene.clock.advance(100);
    const [first, second] = scene.server.paths;
    first!.answerIo(first!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(8 * SECTOR_BYTES, 1));
    scene.clock.advance(11);
    scene.network.routes[0]!.stand('back', true);
    scene.supervisors[0]!.path!.connection.close('carrier lost', true);
    scene.clock.advance(100);
    second!.answerIo(second!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(8 * SECTOR_BYTES, 2));
    scene.clock.advance(100);
    expect(scene.statusOf(request)).toBe(STATUS.OK);
    expect(request.buffer).toEqual(Buffer.alloc(8 * SECTOR_BYTES, 2));
  });

  // A limit or a pause at the server holds READs of its volume for seconds, which says nothing about the paths.
  test('a late READ is sent a second time as soon as ever, although READs of another volume take a second', () => {
    const scene = new TrunkScene(2).start();
    const limited = new Attachment('limited', 0, false, TAKE.NO, null);
    scene.trunk.addAttachment(limited);
    limited.opened({ ...OPEN_ANSWER, handle: 4, id: 'limited' });
    const [first, second] = scene.server.paths;
    for (let times = 0; times < 4; times++)
      scene.submit(OP.READ, { count: 1, bodyBytes: SECTOR_BYTES, buffer: Buffer.alloc(SECTOR_BYTES), attachment: limited });
    for (let times = 0; times < 1000; times++) {
      scene.clock.advance(1);
      for (const path of scene.server.paths) path.pong();
    }
    const isFirst = new Set<number>();
    for (const path of scene.server.paths)
      for (const one of path.requests(OP.READ)) {
        if (!isFirst.has(one.header.slot)) path.answerIo(one, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
        isFirst.add(one.header.slot);
      }
    scene.clock.advance(1);
    expect(scene.done).toHaveLength(4);
    const before = [first!, second!].map((path) => path.requests(OP.READ).length);
    read(scene);
    for (let times = 0; times < HEDGE_MIN_MS / 10 + 2; times++) {
      scene.clock.advance(10);
      // Let both paths receive data, so that the path that carries the READ does not count as silent.
      for (const [index, path] of [first!, second!].entries())
        if (path.requests(OP.READ).length > before[index]!) path.say(OP.NOTIFY, 1);
        else path.pong();
    }
    expect([first!, second!].map((path, index) => path.requests(OP.READ).length - before[index]!)).toEqual([1, 1]);
  });

  test('a READ with two answers in parts at the same time gets one of them completely', () => {
    const scene = new TrunkScene(2, {
      takeMs: () => 0,
      travelMs: () => 0,
      cut: (lengthBytes) => Math.min(lengthBytes, 1000),
      restMs: () => 5,
    }).start();
    const request = read(scene, 8);
    scene.clock.advance(100);
    const [first, second] = scene.server.paths;
    scene.network.routes[0]!.stand('back', true);
    for (let times = 0; times < 5; times++) {
      second!.pong();
      scene.clock.advance(100);
    }
    // The answer that began first becomes slower, and is overtaken.
    first!.answerIo(first!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(8 * SECTOR_BYTES, 1));
    scene.network.routes[0]!.stand('back', false);
    scene.clock.advance(6);
    scene.network.routes[0]!.stand('back', true);
    second!.answerIo(second!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(8 * SECTOR_BYTES, 2));
    scene.clock.advance(6);
    scene.network.routes[0]!.stand('back', false);
    scene.clock.advance(6);
    scene.network.routes[0]!.stand('back', true);
    scene.clock.advance(100);
    expect(scene.statusOf(request)).toBe(STATUS.OK);
    expect(request.buffer).toEqual(Buffer.alloc(8 * SECTOR_BYTES, 2));
    request.buffer.fill(0x5b);
    scene.network.routes[0]!.stand('back', false);
    scene.clock.advance(100);
    expect(request.buffer).toEqual(Buffer.alloc(8 * SECTOR_BYTES, 0x5b));
    expect(scene.states).toEqual(['up', 'up']);
  });

  test('a READ whose second answer arrives after the first is not overwritten by it', () => {
    const scene = new TrunkScene(2, {
      takeMs: () => 0,
      travelMs: () => 0,
      cut: (lengthBytes) => Math.min(lengthBytes, 1000),
      restMs: () => 5,
    }).start();
    const request = read(scene, 8);
    scene.clock.advance(100);
    const [first, second] = scene.server.paths;
    scene.network.routes[0]!.stand('back', true);
    for (let times = 0; times < 5; times++) {
      second!.pong();
      scene.clock.advance(100);
    }
    second!.answerIo(second!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(8 * SECTOR_BYTES, 2));
    scene.clock.advance(6);
    first!.answerIo(first!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(8 * SECTOR_BYTES, 1));
    scene.network.routes[0]!.stand('back', false);
    scene.clock.advance(1);
    scene.network.routes[0]!.stand('back', true);
    scene.clock.advance(100);
    expect(scene.statusOf(request)).toBe(STATUS.OK);
    expect(request.buffer).toEqual(Buffer.alloc(8 * SECTOR_BYTES, 2));
  });

  test('silence delays no request longer than until the path is suspect', () => {
    const scene = new TrunkScene(2).start();
    read(scene);
    read(scene);
    scene.clock.advance(1);
    const [, second] = scene.server.paths;
    scene.network.routes[0]!.stand('there', true);
    for (let times = 0; times < 25; times++) {
      second!.pong();
      scene.clock.advance(10);
    }
    expect(scene.states).toEqual(['suspect', 'up']);
    expect(second!.requests(OP.READ).length).toBe(2);
  });

  test('requests sent to a suspect path for lack of a better one are sent elsewhere as soon as a path recovers', () => {
    const scene = new TrunkScene(3).start();
    const [first, second, third] = scene.server.paths;
    for (let times = 0; times < 3; times++) read(scene);
    scene.clock.advance(1);
    scene.network.routes[0]!.stand('back', true);
    scene.network.routes[1]!.stand('back', true);
    for (let times = 0; times < 5; times++) {
      third!.pong();
      scene.clock.advance(100);
    }
    expect(scene.states).toEqual(['suspect', 'suspect', 'up']);
    scene.network.routes[2]!.reach = 'refused';
    third!.connection.close('reset', true);
    scene.clock.advance(1);
    const request = write(scene, 77);
    scene.clock.advance(1);
    const [carrier, other] = first!.requests(OP.WRITE).length > 0 ? [0, second!] : [1, first!];
    scene.network.routes[1 - carrier]!.stand('back', false);
    other.pong();
    scene.clock.advance(1);
    expect(scene.states[1 - carrier]).toBe('up');
    expect(other.requests(OP.WRITE).map(({ header }) => header.lba)).toEqual([77]);
    expect(scene.statusOf(request)).toBeNull();
  });
});

describe('a new session', () => {
  test('recovers the requests of the old one: LIST at once, READ and WRITE when the volume is open again', () => {
    const scene = new TrunkScene(1).start();
    const list = scene.submit(OP.LIST, { attachment: null });
    const request = write(scene, 5);
    scene.clock.advance(1);
    scene.server.loseSession();
    scene.clock.advance(500);
    expect(scene.sessions).toEqual([false, true]);
    const [path] = scene.server.paths;
    expect([path!.requests(OP.LIST).length, path!.requests(OP.WRITE).length]).toEqual([1, 0]);
    expect([scene.statusOf(list), scene.statusOf(request)]).toEqual([null, null]);
    expect(scene.attachment.phase).toBe('opening');
  });

  // Regression: OPEN and CLOSE were sent again in the new session. An OPEN whose answer has no receiver leaks its handle and its hold, and
  // a CLOSE may name a handle that now belongs to another volume.
  test('answers OPEN and CLOSE of the old one with STALE, sent or waiting, and sends none', () => {
    const scene = new TrunkScene(1).start();
    const open = scene.submit(OP.OPEN, { attachment: null });
    const close = scene.submit(OP.CLOSE, { attachment: null, handle: 3 });
    scene.clock.advance(1);
    expect(scene.server.paths[0]!.requests(OP.CLOSE).length).toBe(1);
    scene.server.loseSession();
    scene.clock.advance(1);
    const waiting = scene.submit(OP.CLOSE, { attachment: null, handle: 3 });
    scene.clock.advance(500);
    expect([open, close, waiting].map((request) => scene.statusOf(request))).toEqual([STATUS.STALE, STATUS.STALE, STATUS.STALE]);
    expect([scene.server.paths[0]!.requests(OP.OPEN), scene.server.paths[0]!.requests(OP.CLOSE)]).toEqual([[], []]);
  });

  test("does not know the old one's dead paths", () => {
    const scene = new TrunkScene(2).start();
    scene.server.paths[0]!.connection.close('reset', true);
    scene.clock.advance(1);
    scene.server.loseSession();
    scene.clock.advance(500);
    expect(scene.states).toEqual(['up', 'up']);
    for (const path of scene.server.paths) expect([path.requests(OP.FENCE), path.proven?.proof.dead]).toEqual([[], []]);
  });

  test('sends an OPEN that waited for the first session', () => {
    const scene = new TrunkScene(1);
    const open = scene.submit(OP.OPEN, { attachment: null });
    scene.start();
    scene.clock.advance(1);
    expect(scene.statusOf(open)).toBeNull();
    expect(scene.server.paths[0]!.requests(OP.OPEN).length).toBe(1);
  });
});

describe('frames received together with the WELCOME', () => {
  test('are decoded as frames of the session, including digests', () => {
    const scene = new TrunkScene(1);
    scene.server.decide = (path) => {
      scene.server.welcome(path);
      path.say(OP.NOTIFY, 9);
      path.say(OP.PING, 0, Ping.encode({ number: 1, clockMs: 0, heard: 0, oldestMs: 0, generation: 9 }));
    };
    scene.start();
    expect(scene.states).toEqual(['up']);
    expect(scene.listChanges).toBe(1);
    expect(scene.server.paths[0]!.requests(OP.PONG).length).toBe(1);
  });

  test('the report about executing requests is the newest one of any live path', () => {
    const scene = new TrunkScene(2).start();
    const say = (index: number, oldestMs: number): void => {
      scene.server.paths[index]!.say(OP.PING, 0, Ping.encode({ number: 9, clockMs: 0, heard: 0, oldestMs, generation: 0 }));
      scene.clock.advance(1);
    };
    say(0, 70);
    say(1, 80);
    expect(scene.trunk.storageReport?.oldestMs).toBe(80);
    say(0, 90);
    expect(scene.trunk.storageReport?.oldestMs).toBe(90);
    scene.server.paths[0]!.say(OP.BYE, 0, Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good bye' }));
    scene.clock.advance(1);
    expect(scene.trunk.storageReport?.oldestMs).toBe(80);
  });

  test('even if one of them ends the path', () => {
    const scene = new TrunkScene(1);
    scene.server.decide = (path) => {
      scene.server.welcome(path);
      path.say(OP.BYE, 0, Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good bye' }));
    };
    scene.start();
    expect(scene.states).toEqual(['down']);
    expect(scene.supervisors[0]!.lastError?.message).toContain('Good bye');
    expect(scene.trunk.paths).toEqual([]);
  });
});

describe('the end', () => {
  test('answers everything at once, and no timer is left', () => {
    const scene = new TrunkScene(2).start();
    const requests = [read(scene), write(scene), scene.submit(OP.LIST, { attachment: null })];
    scene.clock.advance(1);
    requests.push(write(scene), read(scene));
    scene.trunk.end(STATUS.SHUTTING_DOWN, 'The end');
    for (const supervisor of scene.supervisors) supervisor.retire('The end');
    expect(requests.map((request) => scene.statusOf(request))).toEqual(requests.map(() => STATUS.SHUTTING_DOWN));
    const late = read(scene);
    scene.clock.advance(1000);
    expect(scene.statusOf(late)).toBe(STATUS.IO_ERROR);
    expect([scene.states, scene.clock.timersPending]).toEqual([['retired', 'retired'], 0]);
    expect([scene.pools.bodies.lent.size, scene.pools.outputs.lent.size]).toEqual([0, 0]);
  });

  test('may happen within an answer', () => {
    const scene = new TrunkScene(1).start();
    const owner = { requestDone: () => scene.trunk.end(STATUS.SHUTTING_DOWN, 'The end') };
    scene.submit(OP.FLUSH, { events: owner });
    const other = read(scene);
    scene.clock.advance(1);
    const [path] = scene.server.paths;
    path!.answerIo(path!.requests(OP.FLUSH)[0]!, STATUS.OK);
    path!.answerIo(path!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(SECTOR_BYTES));
    scene.clock.advance(1);
    expect(scene.statusOf(other)).toBe(STATUS.SHUTTING_DOWN);
    expect(other.buffer).toEqual(Buffer.alloc(SECTOR_BYTES, 0xaa));
  });
});
