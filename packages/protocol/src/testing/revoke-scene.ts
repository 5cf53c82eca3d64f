// A trunk with an opener, an open attachment and a server. When the test requests it, the server revokes handles, refuses OPENs or loses
// sessions.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { Attachment } from '../client/attachment.ts';
import { Opener } from '../client/opener.ts';
import type { Request } from '../client/requests/request.ts';
import { OP } from '../wire/frames.ts';
import { FailureAnswer, OpenAnswer, OpenRequest, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { HeardFrame, ScriptedPath } from './scripted-server.ts';
import { OPEN_ANSWER, TrunkScene } from './trunk-scene.ts';

const EMPTY = Buffer.alloc(0);
const NAMES: Readonly<Record<number, string>> = {
  [OP.OPEN]: 'OPEN',
  [OP.CLOSE]: 'CLOSE',
  [OP.IOCTL]: 'IOCTL',
  [OP.READ]: 'READ',
  [OP.WRITE]: 'WRITE',
  [OP.FLUSH]: 'FLUSH',
  [OP.ZERO]: 'ZERO',
};

export const REVOKED = 'waits: The server has revoked the handle: the client opens the volume again';

export class RevokeScene {
  readonly scene: TrunkScene;
  readonly attachment: Attachment;
  readonly opener: Opener;
  readonly said: string[] = [];
  closed = 0;
  private readonly answered = new Set<HeardFrame>();

  constructor(paths = 1, attachment = new Attachment('archive', 0, false, TAKE.NO, null)) {
    this.scene = new TrunkScene(paths);
    this.scene.server.answersPings = true;
    this.scene.start();
    this.scene.trunk.removeAttachment(this.scene.attachment);
    this.attachment = attachment;
    this.opener = new Opener(this.scene.trunk, this.scene.clock, {
      opened: (_attachment, again) => this.said.push(again ? 'open again' : 'open'),
      grown: () => undefined,
      failed: (_attachment, status, sentence) => this.said.push(`failed ${status}: ${sentence}`),
      waits: (_attachment, sentence) => this.said.push(`waits: ${sentence}`),
    });
    this.scene.whenSession = () => this.opener.openAll();
    this.opener.add(this.attachment);
    this.settle();
  }

  /** Returns a scene whose attachment is open under handle 7. Discards the events that occurred while the attachment was being opened. */
  static opened(paths = 1): RevokeScene {
    const world = new RevokeScene(paths);
    world.answerOpen({ handle: 7 });
    world.said.length = 0;
    return world;
  }

  settle(ms = 1): void {
    this.scene.clock.advance(ms);
  }

  get paths(): readonly ScriptedPath[] {
    return this.scene.server.paths;
  }

  /** Frames with this `op` that the server has received but the test has not answered, oldest first. */
  open(op: number): { path: ScriptedPath; frame: HeardFrame }[] {
    return this.paths.flatMap((path) =>
      path
        .requests(op)
        .filter((frame) => !this.answered.has(frame))
        .map((frame) => ({ path, frame })),
    );
  }

  get openRequests(): OpenRequest[] {
    return this.paths.flatMap((path) => path.requests(OP.OPEN).map(({ body }) => OpenRequest.decode(body, 0, body.length)));
  }

  /**
   * Texts for the requests that the server has received but the test has not answered. Each text has the name and the handle of the
   * request; for OPEN, it has only the name.
   */
  get waiting(): string[] {
    return [OP.OPEN, OP.CLOSE, OP.IOCTL, OP.READ, OP.WRITE, OP.FLUSH, OP.ZERO].flatMap((op) =>
      this.open(op).map(({ frame: { header } }) => (op === OP.OPEN ? 'OPEN' : `${NAMES[op]} ${header.handle}`)),
    );
  }

  answer(op: number, status: number, body: Buffer = EMPTY): void {
    const { path, frame } = this.open(op)[0]!;
    this.answered.add(frame);
    if (op === OP.READ || op === OP.WRITE || op === OP.FLUSH || op === OP.ZERO) path.answerIo(frame, status, body);
    else path.answerMessage(frame, status, body);
    this.settle();
  }

  answerOpen(fields: Partial<OpenAnswer>): void {
    this.answer(OP.OPEN, STATUS.OK, OpenAnswer.encode({ ...OPEN_ANSWER, ...fields }));
  }

  refuseOpen(status: number, sentence: string): void {
    this.answer(OP.OPEN, status, FailureAnswer.encode({ sentence, holders: [] }));
  }

  submit(op: number, lba = 0): Request {
    const bodyBytes = op === OP.FLUSH ? 0 : SECTOR_BYTES;
    const fields = { lba, count: bodyBytes === 0 ? 0 : 1, bodyBytes, buffer: Buffer.alloc(bodyBytes), attachment: this.attachment };
    const request = this.scene.submit(op, fields);
    this.settle();
    return request;
  }

  loseSession(): void {
    this.scene.server.loseSession();
    this.answered.clear();
    for (let tries = 0; tries < 1000 && this.paths.length === 0; tries++) this.settle(10);
    this.settle();
  }

  close(): void {
    this.opener.close(this.attachment, () => this.closed++);
    this.settle();
  }
}
