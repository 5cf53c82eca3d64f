// Tests a server that violates the protocol in various ways. The client closes only the path on which the violation arrived. Bugs of the
// client are not blamed on the server.

import { describe, expect, test } from 'vitest';
import { AssertionError } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { MESSAGE_MAX_BYTES } from '../wire/limits.ts';
import { ANSWER_PARTS_MAX_BYTES } from './limits.ts';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { FLAG, OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';
import type { Request } from './requests/request.ts';

const EMPTY = Buffer.alloc(0);

function read(scene: TrunkScene, count = 1): Request {
  return scene.submit(OP.READ, { count, bodyBytes: count * SECTOR_BYTES, buffer: Buffer.alloc(count * SECTOR_BYTES, 0xaa) });
}

function write(scene: TrunkScene, lba = 0, count = 1): Request {
  return scene.submit(OP.WRITE, { lba, count, bodyBytes: count * SECTOR_BYTES, buffer: Buffer.alloc(count * SECTOR_BYTES, lba) });
}

describe('a misbehaving server loses only the path', () => {
  function closedBy(act: (scene: TrunkScene) => void): string {
    const scene = new TrunkScene(1).start();
    act(scene);
    scene.clock.advance(1);
    expect(scene.states).toEqual(['down']);
    return scene.supervisors[0]!.lastError?.message ?? '';
  }

  test('an unrequested answer', () => {
    const reason = closedBy((scene) => {
      write(scene);
      scene.clock.advance(1);
      const [path] = scene.server.paths;
      const [request] = path!.requests(OP.WRITE);
      path!.answerIo({ ...request!, header: { ...request!.header, seq: 2 } }, STATUS.OK);
    });
    expect(reason).toBe('Protocol error of the server: WRITE answer for slot 0 seq 2, of which this path owes none');
  });

  test('for the same answer twice', () => {
    closedBy((scene) => {
      const request = write(scene);
      scene.clock.advance(1);
      const [path] = scene.server.paths;
      for (let times = 0; times < 2; times++) path!.answerIo(path!.requests(OP.WRITE)[0]!, STATUS.OK);
      scene.clock.advance(1);
      expect(scene.statusOf(request)).toBe(STATUS.OK);
    });
  });

  test('data of another length than requested, whole or in parts', () => {
    for (const bytes of [SECTOR_BYTES, 64 * SECTOR_BYTES]) {
      closedBy((scene) => {
        const request = read(scene, 2);
        scene.clock.advance(1);
        const [path] = scene.server.paths;
        const [asked] = path!.requests(OP.READ);
        path!.answerIo({ ...asked!, header: { ...asked!.header, count: bytes / SECTOR_BYTES } }, STATUS.OK, Buffer.alloc(bytes, 1));
        scene.clock.advance(1);
        expect(request.buffer).toEqual(Buffer.alloc(2 * SECTOR_BYTES, 0xaa));
      });
    }
  });

  test('an answer with another op, a frame of the handshake, an unrequested FENCED', () => {
    expect(
      closedBy((scene) => {
        write(scene);
        scene.clock.advance(1);
        const [path] = scene.server.paths;
        const [request] = path!.requests(OP.WRITE);
        path!.answerIo({ ...request!, header: { ...request!.header, op: OP.FLUSH } }, STATUS.OK);
      }),
    ).toContain('which holds WRITE');
    closedBy((scene) => scene.server.paths[0]!.say(OP.WELCOME, 0));
    closedBy((scene) => scene.server.paths[0]!.say(OP.FENCED, 0));
    closedBy((scene) => scene.server.paths[0]!.say(OP.OPEN, 0));
    closedBy((scene) => scene.server.paths[0]!.say(OP.PING, 0, Buffer.from('rubbish')));
  });

  test('for an answer without end', () => {
    const reason = closedBy((scene) => {
      scene.submit(OP.LIST, { attachment: null });
      scene.clock.advance(1);
      const [path] = scene.server.paths;
      const part = Buffer.alloc(MESSAGE_MAX_BYTES);
      for (let bytes = 0; bytes <= ANSWER_PARTS_MAX_BYTES && path!.closedReason === null; bytes += part.length) {
        path!.answerMessage(path!.requests(OP.LIST)[0]!, STATUS.OK, part, FLAG.MORE);
        if (bytes % (1 << 20) === 0) scene.clock.advance(0);
      }
    });
    expect(reason).toContain(`exceeds ${ANSWER_PARTS_MAX_BYTES} bytes`);
  });

  test('for a path number that is in use', () => {
    const scene = new TrunkScene(2);
    scene.server.decide = (path) => {
      path.welcome(scene.server.session, 0, 256);
      scene.server.paths.push(path);
    };
    scene.start();
    expect(scene.states).toEqual(['up', 'down']);
    expect(scene.supervisors[1]!.lastError?.code).toBe('E_PROTOCOL');
  });

  test('an answer with an invalid body', () => {
    const reason = closedBy((scene) => {
      const owner = {
        requestDone: () => {
          throw new RsError('E_PROTOCOL', 'LIST answer: wrong');
        },
      };
      scene.submit(OP.LIST, { attachment: null, events: owner });
      scene.clock.advance(1);
      scene.server.paths[0]!.answerMessage(scene.server.paths[0]!.requests(OP.LIST)[0]!, STATUS.OK, Buffer.from('rubbish'));
    });
    expect(reason).toBe('Protocol error of the server: LIST answer: wrong');
  });

  // Regression: a bug of the client counted as an error of the server, and the client continued in a broken state.
  test('our own mistakes are not blamed on the server', () => {
    const scene = new TrunkScene(1).start();
    const owner = {
      requestDone: () => {
        throw new AssertionError('Our own mistake');
      },
    };
    scene.submit(OP.LIST, { attachment: null, events: owner });
    scene.clock.advance(1);
    scene.server.paths[0]!.answerMessage(scene.server.paths[0]!.requests(OP.LIST)[0]!, STATUS.OK, EMPTY);
    expect(() => scene.clock.advance(1)).toThrow('Our own mistake');
  });
});
