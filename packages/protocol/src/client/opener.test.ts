// Tests that the hold of a closed attachment ends at the server even if the session was lost before CLOSE or OPEN was answered. The server
// is a script; test/integration/holders.test.ts tests the hold at a real server. Rules: H1, Q6.

import { describe, expect, test } from 'vitest';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { OpenAnswer, OpenRequest, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { Opener } from './opener.ts';

/** Long enough for the client to reconnect, but too short for the client to consider the silent server dead. */
const UP_AGAIN_MS = 1_000;
const EMPTY = Buffer.alloc(0);

class OpenerScene {
  readonly scene = new TrunkScene(1).start();
  readonly attachment = new Attachment('archive', 0, false, TAKE.NO, null);
  readonly failed: string[] = [];
  readonly opener = new Opener(this.scene.trunk, this.scene.clock, {
    opened: () => {},
    grown: () => {},
    failed: (_attachment, status, sentence) => this.failed.push(`${status}: ${sentence}`),
    waits: () => {},
  });
  closed = 0;
  readonly next = new Attachment('archive', 0, false, TAKE.NO, null);

  constructor() {
    this.scene.whenEnded = (status, reason) => this.opener.end(status, reason);
    this.opener.add(this.attachment);
    this.scene.clock.advance(1);
  }

  answerOpen(handle: number): void {
    const path = this.scene.server.paths.at(-1)!;
    path.answerMessage(path.requests(OP.OPEN).at(-1)!, STATUS.OK, OpenAnswer.encode({ ...OPEN_ANSWER, handle }));
    this.scene.clock.advance(1);
  }

  answerClose(): void {
    const path = this.scene.server.paths.at(-1)!;
    path.answerMessage(path.requests(OP.CLOSE).at(-1)!, STATUS.OK, EMPTY);
    this.scene.clock.advance(1);
  }

  close(): void {
    this.opener.close(this.attachment, () => this.closed++);
    this.scene.clock.advance(1);
  }

  addNext(): void {
    this.opener.add(this.next);
    this.scene.clock.advance(1);
  }

  loseSession(): void {
    this.scene.server.loseSession();
    this.scene.clock.advance(UP_AGAIN_MS);
  }

  /** Returns what the server received in the current session: 'OPEN' for each OPEN, and the handle for each CLOSE. */
  get heard(): (string | number)[] {
    const frames = this.scene.server.paths.flatMap(({ heard }) => heard.map(({ header }) => header));
    return frames.filter(({ op }) => op === OP.OPEN || op === OP.CLOSE).map(({ op, handle }) => (op === OP.OPEN ? 'OPEN' : handle));
  }
}

test('CLOSE names the handle and ends with its answer', () => {
  const world = new OpenerScene();
  world.answerOpen(9);
  world.close();
  expect([world.heard, world.closed]).toEqual([['OPEN', 9], 0]);
  world.answerClose();
  expect(world.closed).toBe(1);
});

test('a CLOSE lost with its session: the volume is opened in the next one and closed by its new handle, as often as needed', () => {
  const world = new OpenerScene();
  world.answerOpen(9);
  world.close();
  world.loseSession();
  expect([world.heard, world.closed]).toEqual([['OPEN'], 0]);
  world.loseSession();
  world.answerOpen(4);
  expect(world.heard).toEqual(['OPEN', 4]);
  world.loseSession();
  world.answerOpen(2);
  world.answerClose();
  expect([world.heard, world.closed]).toEqual([['OPEN', 2], 1]);
});

test('a volume that another client has taken by then is left alone', () => {
  const world = new OpenerScene();
  world.answerOpen(9);
  world.close();
  world.loseSession();
  const path = world.scene.server.paths.at(-1)!;
  path.answerMessage(path.requests(OP.OPEN).at(-1)!, STATUS.TAKEN, EMPTY);
  world.scene.clock.advance(UP_AGAIN_MS);
  expect([world.heard, world.closed]).toEqual([['OPEN'], 1]);
});

test('closed while its first OPEN was in flight and lost with the session: the possible hold is released', () => {
  const world = new OpenerScene();
  world.close();
  expect(world.closed).toBe(1);
  world.loseSession();
  world.answerOpen(5);
  expect(world.heard).toEqual(['OPEN', 5]);
});

test('a replica is opened under its claim, and fails for good when the claim is not valid any more', () => {
  for (const status of [STATUS.TAKEN, STATUS.REPLICA, STATUS.UNCLAIMED]) {
    const world = new OpenerScene();
    world.scene.whenSession = () => world.opener.openAll();
    const replica = new Attachment('db', 0, false, TAKE.NO, null);
    replica.mirror = { mirror: 'a'.repeat(32), number: 7 };
    world.opener.add(replica);
    world.scene.clock.advance(1);
    const asked = world.scene.server.paths.at(-1)!.requests(OP.OPEN).at(-1)!;
    expect(OpenRequest.decode(asked.body, 0, asked.body.length)).toMatchObject({ name: 'db', mirror: replica.mirror, resume: null });
    world.answerOpen(10);
    expect(replica.phase).toBe('ready');
    world.loseSession();
    const path = world.scene.server.paths.at(-1)!;
    const again = path.requests(OP.OPEN).at(-1)!;
    expect(OpenRequest.decode(again.body, 0, again.body.length)).toMatchObject({ name: 'db', mirror: replica.mirror, resume: 'identity' });
    const { length } = world.heard;
    path.answerMessage(again, status, EMPTY);
    world.scene.clock.advance(UP_AGAIN_MS);
    expect([replica.phase, world.failed.map((line) => line.split(':')[0])]).toEqual(['failed', [String(status)]]);
    expect(world.heard.length, 'it is not opened again').toBe(length);
  }
});

// If CLOSE of the previous attachment were sent after OPEN of the next one, it could end the hold that both attachments share. The next
// attachment would lose the volume although no client had taken it.
describe('the next attachment of a volume is opened when the previous one has left', () => {
  test('when its CLOSE is answered', () => {
    const world = new OpenerScene();
    world.answerOpen(9);
    world.close();
    world.addNext();
    expect(world.heard).toEqual(['OPEN', 9]);
    world.answerClose();
    expect(world.heard).toEqual(['OPEN', 9, 'OPEN']);
    world.answerOpen(10);
    expect(world.next.phase).toBe('ready');
  });

  test('when the OPEN in flight is answered, and its handle is released', () => {
    const world = new OpenerScene();
    world.close();
    world.addNext();
    world.answerOpen(9);
    expect([world.closed, world.heard]).toEqual([1, ['OPEN', 9]]);
    world.answerClose();
    expect(world.heard).toEqual(['OPEN', 9, 'OPEN']);
  });

  test('when the OPEN in flight is refused', () => {
    const world = new OpenerScene();
    world.close();
    world.addNext();
    const path = world.scene.server.paths.at(-1)!;
    path.answerMessage(path.requests(OP.OPEN).at(-1)!, STATUS.HELD, EMPTY);
    world.scene.clock.advance(1);
    expect(world.heard).toEqual(['OPEN', 'OPEN']);
  });

  test('in the next session, when its CLOSE was lost with the last', () => {
    const world = new OpenerScene();
    world.answerOpen(9);
    world.close();
    world.addNext();
    world.loseSession();
    world.answerOpen(4);
    expect(world.heard).toEqual(['OPEN', 4]);
    world.answerClose();
    expect(world.heard).toEqual(['OPEN', 4, 'OPEN']);
  });

  test('at once, if nothing was ever requested for it; one of another volume does not wait', () => {
    const world = new OpenerScene();
    world.answerOpen(9);
    world.close();
    world.opener.add(new Attachment('other', 0, false, TAKE.NO, null));
    world.addNext();
    world.opener.close(world.next, () => undefined);
    world.scene.clock.advance(1);
    expect(world.heard).toEqual(['OPEN', 9, 'OPEN']);
  });
});

// Regression: the attach request waited until its time limit.
test('if a trunk ends after its session was left, a first OPEN in flight has failed', () => {
  const world = new OpenerScene();
  world.scene.submit(OP.FLUSH);
  world.scene.clock.advance(1);
  world.scene.trunk.abandon(world.scene.attachment);
  expect(world.scene.trunk.session).toBeNull();
  world.scene.trunk.end(STATUS.SHUTTING_DOWN, 'The daemon ends');
  expect(world.failed).toEqual([`${STATUS.SHUTTING_DOWN}: The daemon ends`]);
});
