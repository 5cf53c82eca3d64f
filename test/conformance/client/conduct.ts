// The conduct of rsiod, as a server sees it: rsiod is silent while the protocol demands it, and uses tags, slots, window, copies, FENCE,
// joins and BYE correctly. The scripted server behaves, or misbehaves in one respect, and records what it receives.

import { SLOTS_RESERVED } from '@rsio/protocol/wire/limits';
import { ANSWER, frameEntry, OP } from '@rsio/protocol/wire/frames';
import { Farewell, Ping, Hello, Proof } from '@rsio/protocol/wire/messages';
import type { RawFrame } from '../../support/peers/raw-peer.ts';
import type { Meddle, RawServerLink } from '../../support/peers/raw-server.ts';
import { type ClientCase, clientCase } from '../base/case.ts';
import { equals, holds } from '../base/check.ts';
import { tag, welcome } from './meddling.ts';
import type { ClientStage } from '../base/stage.ts';

const PIECE_BYTES = 8192;
const CONTENT = Buffer.alloc(PIECE_BYTES, 0x5a);
const QUIET_MS = 150;
const SLOW_MS = 20;
const AT_A_TIME = 12;
const WINDOW_BYTES = 2 * 1024 * 1024;

interface Heard {
  readonly link: RawServerLink;
  readonly frame: RawFrame;
}

/** Records all frames that a server receives, in their order. */
class Ear {
  readonly heard: Heard[] = [];
  readonly meddle: Meddle;

  constructor(meddle: Meddle = () => false) {
    this.meddle = (step, link, frame) => {
      if (frame !== null) this.heard.push({ link, frame });
      return meddle(step, link, frame);
    };
  }

  of(op: number): Heard[] {
    return this.heard.filter(({ frame }) => frame.op === op);
  }

  get slotted(): Heard[] {
    return this.heard.filter(({ frame }) => frameEntry(frame.op)?.isSlotted === true);
  }
}

function heeding(
  id: string,
  section: string,
  expects: string,
  ear: Ear,
  run: (stage: ClientStage, ear: Ear) => Promise<void>,
  hasTwoPaths = false,
): ClientCase {
  return clientCase(id, section, expects, (stage) => run(stage, ear), { meddle: ear.meddle, hasTwoPaths });
}

/** Reads with several applications at the same time. */
async function readMany(stage: ClientStage, count: number, bytes = PIECE_BYTES): Promise<void> {
  const applications = await Promise.all(Array.from({ length: count }, () => stage.nbd()));
  const read = await Promise.all(applications.map((nbd, index) => nbd.read(index * PIECE_BYTES, bytes)));
  holds(
    read.every((data) => data.equals(Buffer.alloc(bytes, 0x5a))),
    'A READ gave something else',
  );
}

/** Makes the server wait before its answer to this step, and records whether the client sends bytes while the server waits. */
function waiting(step: 'hello' | 'proof', seen: { bytes: number; times: number }): Meddle {
  return (now, link, frame) => {
    if (now !== step || frame === null) return false;
    const before = link.socket.bytesRead;
    setTimeout(() => {
      seen.times++;
      seen.bytes += link.socket.bytesRead - before;
      link.close();
    }, QUIET_MS);
    return true;
  };
}

function silence(id: string, step: 'hello' | 'proof', expects: string): ClientCase {
  const seen = { bytes: 0, times: 0 };
  const run = async (stage: ClientStage): Promise<void> => {
    await stage.becomes('It was waited twice', () => seen.times >= 2);
    equals('Bytes that came', seen.bytes, 0);
    await stage.recovers();
  };
  return clientCase(`conduct.silence.${id}`, 'Silence', expects, run, { meddle: waiting(step, seen) });
}

/**
 * A server that answers READs only when `atLeast` READs are in flight and no further READ arrives. The server records the largest number of
 * READs in flight.
 */
class Hoard {
  readonly atLeast: number;
  most = 0;
  mostBytes = 0;
  private readonly waiting: Heard[] = [];
  private timer: NodeJS.Timeout | undefined;

  readonly meddle: Meddle = (step, link, frame) => {
    if (step !== 'request' || frame?.op !== OP.READ) return false;
    this.waiting.push({ link, frame: { ...frame } });
    this.most = Math.max(this.most, this.waiting.length);
    this.mostBytes = Math.max(
      this.mostBytes,
      this.waiting.reduce((sum, one) => sum + one.frame.count * 512, 0),
    );
    clearTimeout(this.timer);
    if (this.most >= this.atLeast) this.timer = setTimeout(() => this.answer(), QUIET_MS);
    return true;
  };

  constructor(atLeast: number) {
    this.atLeast = atLeast;
  }

  private answer(): void {
    for (const { link, frame } of this.waiting.splice(0)) {
      link.request({ ...tag(frame), lba: frame.lba, count: frame.count, body: Buffer.alloc(frame.count * 512, 0x5a) });
    }
  }
}

/** Sends a WELCOME with these fields, and serves everything else as usual. */
function granting(changes: Readonly<Record<string, number>>, meddle: Meddle): Meddle {
  return (step, link, frame) => {
    if (step !== 'proof' || frame === null) return meddle(step, link, frame);
    welcome(changes)(step, link, frame);
    link.serveOn().catch(() => link.close());
    return true;
  };
}

function hoarding(
  id: string,
  expects: string,
  grant: Readonly<Record<string, number>>,
  bytes: number,
  atLeast: number,
  check: (hoard: Hoard, ear: Ear) => void,
): ClientCase {
  const hoard = new Hoard(atLeast);
  const ear = new Ear(granting(grant, hoard.meddle));
  return heeding(`conduct.${id}`, 'Session, paths, slots', expects, ear, async (stage) => {
    await readMany(stage, AT_A_TIME, bytes);
    check(hoard, ear);
  });
}

const SLOT_CASES: readonly ClientCase[] = [
  heeding('conduct.hello', 'HELLO', 'HELLO and PROOF are valid, and PROOF starts a session', new Ear(), async (stage, ear) => {
    await stage.up();
    const [hello, proof] = [ear.of(OP.HELLO)[0]?.frame.body, ear.of(OP.PROOF)[0]?.frame.body];
    holds(hello !== undefined && proof !== undefined, 'HELLO or PROOF is missing');
    const { versions, node, interface: local } = Hello.decode(hello, 0, hello.length);
    equals('versions, node, interface', [versions, node, local], [[1], 'big-2', 'if0']);
    equals('PROOF', Proof.decode(proof.subarray(0, -32), 0, proof.length - 32), { session: null, dead: [] });
  }),
  heeding(
    'conduct.tags',
    'Session, paths, slots',
    'In each slot seqs are 1, 2, 3 and so on',
    // The server grants few slots, so that each slot is used often.
    new Ear(granting({ slots: SLOTS_RESERVED + 1 }, () => false)),
    async (stage, ear) => {
      const nbd = await stage.nbd();
      for (let time = 0; time < 200; time++) await nbd.read(0, PIECE_BYTES);
      const last = new Map<number, number>();
      for (const { frame } of ear.slotted) {
        equals(`The seq in slot ${frame.slot}`, frame.seq, (last.get(frame.slot) ?? 0) + 1);
        last.set(frame.slot, frame.seq);
      }
      holds(
        [...last.values()].some((seq) => seq > 15),
        `${ear.slotted.length} requests came, none in a slot that was used often`,
      );
    },
  ),
  hoarding(
    'few-slots',
    'A client that is granted 9 slots uses no other slot, and sends data in one at a time',
    { slots: SLOTS_RESERVED + 1 },
    PIECE_BYTES,
    1,
    (hoard, ear) => {
      const most = Math.max(...ear.slotted.map(({ frame }) => frame.slot));
      holds(most <= SLOTS_RESERVED, `Slot ${most} was used`);
      equals('READs that were out at a time', hoard.most, 1);
    },
  ),
  hoarding(
    'small-window',
    'A client that is granted a window of 2 MiB never has READs of more bytes in flight',
    { windowBytes: WINDOW_BYTES },
    256 * 1024,
    // The server answers only when at least this many READs are in flight.
    2,
    (hoard) => {
      holds(hoard.mostBytes <= WINDOW_BYTES, `${hoard.mostBytes} bytes were out`);
      holds(hoard.most > 1, 'Only one READ was out at a time');
    },
  ),
];

const PING_CASES: readonly ClientCase[] = [
  heeding(
    'conduct.ping',
    'Liveness',
    'The client sends PINGs, numbered upwards, with generation and oldestMs 0',
    new Ear(),
    async (stage, ear) => {
      await stage.becomes('Two PINGs came', () => ear.of(OP.PING).length >= 2);
      const [one, other] = ear.of(OP.PING).map(({ frame }) => Ping.decode(frame.body, 0, frame.body.length));
      holds(one !== undefined && other !== undefined && other.number > one.number, 'The numbers do not grow');
      equals('generation and oldestMs', [one.generation, one.oldestMs], [0, 0]);
    },
  ),
];

const pathIndex = (link: RawServerLink): number => (link.socket.localAddress === link.server.options.address ? 0 : 1);

/**
 * While the server misbehaves, calls `act` on the second path only. The server greets the second path after the first one has started the
 * session.
 */
function onSecond(meddle: Meddle): Meddle {
  return (step, link, frame) => {
    if (pathIndex(link) === 0) return false;
    if (step !== 'hello' || link.server.links.some((one) => one.isPath && pathIndex(one) === 0)) return meddle(step, link, frame);
    link.close();
    return true;
  };
}

/** Makes a case in which rsiod closes the second path with this reason, while I/O continues over the first path, which never dies. */
function oneOfTwo(id: string, section: string, expects: string, error: RegExp, meddle: Meddle): ClientCase {
  const run = async (stage: ClientStage): Promise<void> => {
    const nbd = await stage.nbd();
    const isClosed = async (): Promise<boolean> => {
      holds((await nbd.read(0, PIECE_BYTES)).equals(CONTENT), 'A READ gave something else');
      return error.test(await stage.said(1));
    };
    await stage.becomes(`The second path is closed because of ${error}`, isClosed);
    stage.noneLost(stage.server.links.filter((link) => pathIndex(link) === 0));
    await stage.recovers();
  };
  return clientCase(`conduct.two-paths.${id}`, section, expects, run, { meddle: onSecond(meddle), error, hasTwoPaths: true });
}

/** A server whose first path is slow, so that rsiod also uses the second one. The second path falls silent after a READ. */
const resent = new Ear((step, link, frame) => {
  if (step !== 'request' || frame === null) return false;
  if (pathIndex(link) === 1) return resent.of(OP.READ).some((one) => one.link === link);
  if (frame.op !== OP.READ) return false;
  const answer = { ...tag(frame), lba: frame.lba, count: frame.count, body: CONTENT };
  setTimeout(() => link.request(answer), SLOW_MS);
  return true;
});
const fenced = new Ear();
const refusing = new Ear();

const TWO_PATH_CASES: readonly ClientCase[] = [
  oneOfTwo('garbage', 'S3', 'Garbage on one path closes it, and I/O continues over the other', /op 0xee: no such frame/, (step, link) => {
    if (step === 'welcomed') link.send(Buffer.alloc(16, 0xee));
    return false;
  }),
  oneOfTwo(
    'number-twice',
    'WELCOME',
    'A WELCOME with the number of a living path closes the new one',
    /gave path number 0 twice/,
    (step, link, frame) => {
      if (step !== 'proof' || frame === null) return false;
      link.send(link.welcome(link.proven(frame), { path: 0 }));
      return true;
    },
  ),
  oneOfTwo(
    'other-session',
    'Handshake',
    'A WELCOME to another session than was joined closes the path',
    /answered the join with another session/,
    (step, link, frame) => {
      if (step !== 'proof' || frame === null) return false;
      link.send(link.welcome(link.proven(frame), { session: Buffer.alloc(16, 9) }));
      return true;
    },
  ),
  oneOfTwo(
    'first-mac',
    'Keys and macs',
    'A WELCOME to a join that is signed for another handshake closes the path',
    /could not prove/,
    (step, link, frame) => {
      if (step !== 'proof' || frame === null) return false;
      const { welcomeKey, ...rest } = link.proven(frame);
      link.send(link.welcome({ ...rest, welcomeKey, transcript: '0'.repeat(64) }));
      return true;
    },
  ),
  oneOfTwo(
    'no-session',
    'Step by step',
    'A join refused for lack of room is tried again, and the first path is not affected',
    /Server refused the connection: No room/,
    (step, link, frame) => {
      if (step !== 'proof' || frame === null) return false;
      link.refuse('E_LIMIT', 'No room');
      return true;
    },
  ),
  heeding(
    'conduct.two-paths.resent',
    'S2',
    'READs on a path that falls silent are sent again on the other, with the same slot and seq',
    resent,
    async (stage, ear) => {
      await stage.up();
      const applications = [await stage.nbd(), await stage.nbd(), await stage.nbd()];
      const isResent = (): boolean =>
        ear.of(OP.READ).some(({ link, frame }) => pathIndex(link) === 1 && copies(ear, frame).some((copy) => pathIndex(copy.link) === 0));
      await stage.becomes('A READ was sent again', async () => {
        // Several READs are in flight at a time, so that both paths are used.
        const read = await Promise.all(applications.map((nbd) => nbd.read(0, PIECE_BYTES)));
        holds(
          read.every((data) => data.equals(CONTENT)),
          'A READ gave something else',
        );
        return isResent();
      });
    },
    true,
  ),
  heeding(
    'conduct.two-paths.fenced',
    'S5',
    'For a dead path the client sends FENCE on the other path, or names it as dead in the next PROOF',
    fenced,
    async (stage, ear) => {
      await stage.up();
      // The client might send nothing on the second path before the next heartbeat.
      const second = (): RawServerLink | undefined =>
        stage.server.links.find((link) => pathIndex(link) === 1 && link.isPath && link.ending === null);
      await stage.becomes('There is a second path', () => second() !== undefined);
      const dying = second();
      holds(dying !== undefined, 'There is no second path');
      const number = dying.path;
      dying.reset();
      await stage.becomes('It was asked or named', () => {
        const isAsked = ear.of(OP.FENCE).some(({ frame }) => frame.aux === number);
        const isNamed = ear.of(OP.PROOF).some(({ frame }) => isNamedDead(frame, number));
        return isAsked || isNamed;
      });
      await stage.up();
    },
    true,
  ),
  heeding(
    'conduct.two-paths.join',
    'Step by step',
    'The second path joins the session of the first, with a number of its own',
    refusing,
    async (stage, ear) => {
      await stage.up();
      const sessions = ear.of(OP.PROOF).map(({ frame }) => proofOf(frame).session);
      holds(
        sessions.some((session) => session === null) && sessions.some((session) => session !== null),
        'There is no first handshake, or no join',
      );
      const numbers = new Set((await stage.paths()).map(({ number }) => number));
      equals('Numbers of both paths', numbers.size, 2);
    },
    true,
  ),
];

function copies(ear: Ear, { slot, seq }: RawFrame): Heard[] {
  return ear.of(OP.READ).filter(({ frame }) => frame.slot === slot && frame.seq === seq);
}

/** Decodes the map of a PROOF. One mac or two macs of 32 bytes follow the map. */
function proofOf({ body }: RawFrame): ReturnType<typeof Proof.decode> {
  for (const macBytes of [32, 64]) {
    try {
      return Proof.decode(body.subarray(0, -macBytes), 0, body.length - macBytes);
    } catch {
      // Ignores the error, because this PROOF may have the other number of macs, which the loop also tries.
    }
  }
  throw new Error('A PROOF cannot be read');
}

function isNamedDead(frame: RawFrame, number: number): boolean {
  return proofOf(frame).dead.includes(number);
}

const forgetting = new Ear();
const ending = new Ear();

const SESSION_CASES: readonly ClientCase[] = [
  silence('challenge', 'hello', 'The client sends nothing between HELLO and CHALLENGE'),
  silence('welcome', 'proof', 'The client sends nothing between PROOF and WELCOME'),
  heeding(
    'conduct.session.forgotten',
    'A new session',
    'If the server no longer knows the session (E_NO_SESSION), the client starts a new one and continues',
    forgetting,
    async (stage, ear) => {
      const nbd = await stage.nbd();
      await nbd.write(0, CONTENT);
      const before = ear.of(OP.PROOF).length;
      // The server forgets the session but keeps its instance number. The client therefore tries to join the session, and the server
      // refuses.
      stage.server.secret = null;
      for (const link of stage.server.links) link.reset();
      holds((await nbd.read(0, PIECE_BYTES)).equals(CONTENT), 'A READ gave something else');
      const sessions = ear
        .of(OP.PROOF)
        .slice(before)
        .map(({ frame }) => proofOf(frame).session === null);
      equals('Whether it joined first, and began then', [sessions[0], sessions.at(-1)], [false, true]);
    },
  ),
  heeding(
    'conduct.session.new-server',
    'A new session',
    'After a restart of the server the client starts a session at once and opens its volumes again',
    new Ear(),
    async (stage) => {
      const nbd = await stage.nbd();
      await nbd.write(0, CONTENT);
      stage.server.startAnew();
      holds((await nbd.read(0, PIECE_BYTES)).equals(CONTENT), 'A READ gave something else');
    },
  ),
];

/** These cases are played last, because they end rsiod. */
export const ENDING_CASES: readonly ClientCase[] = [
  heeding('conduct.bye', 'REFUSE and BYE', 'A client that ends sends CLOSE for its volumes, and then BYE', ending, async (stage, ear) => {
    await stage.nbd();
    await stage.host.stop('rsiod');
    await stage.becomes('BYE came', () => ear.of(OP.BYE).length > 0);
    const { body } = ear.of(OP.BYE)[0]!.frame;
    equals('Its code', Farewell.decode(body, 0, body.length).code, 'E_SHUTTING_DOWN');
    holds(ear.of(OP.CLOSE).length > 0, 'No CLOSE came');
    const order = ear.heard.map(({ frame }) => frame.op & ~ANSWER);
    holds(order.lastIndexOf(OP.CLOSE) < order.indexOf(OP.BYE), 'CLOSE came behind BYE');
  }),
];

export const CONDUCT_CASES: readonly ClientCase[] = [...SLOT_CASES, ...PING_CASES, ...TWO_PATH_CASES, ...SESSION_CASES];
