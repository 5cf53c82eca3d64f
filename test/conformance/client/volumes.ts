// The reaction of rsiod to a server's answers about volumes: lists in parts and of other generations, OPENs that are refused or answered
// wrongly, and I/O that fails, is answered twice, or is answered with another size. An application uses the volume over NBD.

import { ANSWER, FLAG, OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, Ping } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { frameBytes, type RawFrame } from '../../support/peers/raw-peer.ts';
import type { RawServerLink } from '../../support/peers/raw-server.ts';
import { type ClientCase, clientCase } from '../base/case.ts';
import { equals, holds } from '../base/check.ts';
import { type Packable, pack } from '../base/pack.ts';
import { answering, behindWelcome, errnoOf, tag } from './meddling.ts';
import type { ClientStage } from '../base/stage.ts';

const PIECE_BYTES = 8192;
const EIO = 5;
/** Within this time, the client has sent all requests that it makes at the beginning of a session. */
const SETTLED_MS = 300;
const VOLUME = { id: 'v', universe: 0, sizeBytes: 1024, blockSizeBytes: 512, readonly: false, shared: false, holders: [] };
const CONTENT = Buffer.alloc(PIECE_BYTES, 0x5a);

function withStatus(status: number): (link: RawServerLink, frame: RawFrame) => void {
  return (link, frame) => link.request({ ...tag(frame), handle: status, lba: frame.lba, count: frame.count });
}

/**
 * Makes a case in which a READ fails with this status. The application must get this errno, the path must stay up, and the next READ must
 * succeed.
 */
function failing(id: string, status: number, errno: number): ClientCase {
  const run = async (stage: ClientStage): Promise<void> => {
    const nbd = await stage.nbd();
    equals('The errno of READ', await errnoOf(nbd.read(0, PIECE_BYTES)), errno);
    stage.isWrong = false;
    holds((await nbd.read(0, PIECE_BYTES)).equals(CONTENT), 'The next READ gives something else');
    stage.noneLost();
  };
  const expects = `A READ that fails with status ${status} fails with errno ${errno} for the application, and the path stays`;
  return clientCase(`client.status.${id}`, 'Status', expects, run, { meddle: answering(OP.READ, withStatus(status)) });
}

const STATUS_CASES: readonly ClientCase[] = [
  failing('io-error', STATUS.IO_ERROR, EIO),
  failing('past-end', STATUS.PAST_END, 22),
  failing('misaligned', STATUS.MISALIGNED, 22),
  failing('bad-request', STATUS.BAD_REQUEST, 22),
  failing('unsupported', STATUS.UNSUPPORTED, 95),
  failing('no-rights', STATUS.NO_RIGHTS, 1),
  failing('taken', STATUS.TAKEN, EIO),
  failing('out-of-memory', STATUS.OUT_OF_MEMORY, 12),
  failing('unavailable', STATUS.VOLUME_UNAVAILABLE, EIO),
  failing('unknown', 99, EIO),
];

/**
 * Makes a case in which the server answers I/O with this op wrongly until rsiod has closed the path, and then correctly. The application
 * must get the right result.
 */
function wrongIo(
  id: string,
  expects: string,
  op: typeof OP.READ | typeof OP.WRITE,
  error: RegExp,
  act: (link: RawServerLink, frame: RawFrame) => void,
): ClientCase {
  const run = async (stage: ClientStage): Promise<void> => {
    const nbd = await stage.nbd();
    const io = op === OP.READ ? nbd.read(0, PIECE_BYTES) : nbd.write(0, CONTENT);
    // `outcome` is awaited further below. Until then, a rejection of `outcome` must not count as unhandled.
    const outcome = io.then((data) => (data === undefined ? CONTENT : data));
    outcome.catch(() => undefined);
    await stage.closesWith(error);
    await stage.recovers();
    holds((await outcome).equals(CONTENT), 'The application got something else');
  };
  return clientCase(`client.io.${id}`, 'S3', expects, run, { error, meddle: answering(op, act) });
}

const IO_CASES: readonly ClientCase[] = [
  wrongIo(
    'read-smaller',
    'A READ answered with half of its sectors closes the path, and none of the data is used',
    OP.READ,
    /READ answer of 8 sectors in slot \d+, which holds READ of 16/,
    (link, frame) => link.request({ ...tag(frame), count: 8, body: Buffer.alloc(4096, 1) }),
  ),
  wrongIo(
    'read-larger',
    'A READ answered with more sectors closes the path, and none of the data is used',
    OP.READ,
    /READ answer of 32 sectors in slot \d+, which holds READ of 16/,
    (link, frame) => link.request({ ...tag(frame), count: 32, body: Buffer.alloc(16_384, 1) }),
  ),
  wrongIo(
    'read-none',
    'A READ answered OK without data closes the path',
    OP.READ,
    /READ answer of 0 sectors in slot \d+, which holds READ of 16/,
    (link, frame) => link.request(tag(frame)),
  ),
  wrongIo(
    'write-count',
    'A WRITE answered with another count closes the path, and the WRITE is sent again',
    OP.WRITE,
    /WRITE answer of 8 sectors in slot \d+, which holds WRITE of 16/,
    (link, frame) => link.request({ ...tag(frame), count: 8 }),
  ),
  wrongIo(
    'write-op',
    'A WRITE answered by a ZERO answer closes the path, and the WRITE is sent again',
    OP.WRITE,
    /ZERO answer of 16 sectors in slot \d+, which holds WRITE of 16/,
    (link, frame) => link.request({ ...tag(frame), op: OP.ZERO | ANSWER, count: frame.count }),
  ),
  clientCase(
    'client.io.read-twice',
    'S3',
    'The first answer to a READ counts; a second one closes the path and touches nothing',
    async (stage) => {
      const nbd = await stage.nbd();
      holds((await nbd.read(0, PIECE_BYTES)).equals(CONTENT), 'The READ gave something else than its first answer');
      await stage.closesWith(/READ answer for slot \d+ seq \d+, of which this path owes none/);
      await stage.recovers();
    },
    {
      error: /of which this path owes none/,
      meddle: answering(OP.READ, (link, frame) => {
        const answer = { ...tag(frame), lba: frame.lba, count: frame.count };
        link.request({ ...answer, body: CONTENT }, { ...answer, body: Buffer.alloc(PIECE_BYTES, 1) });
      }),
    },
  ),
];

/** Makes a case with this answer to OPEN. `rsconfig -a` must print the given text. */
function opening(
  id: string,
  section: string,
  expects: string,
  answer: (frame: RawFrame) => object & { body: Buffer },
  said: RegExp,
): ClientCase {
  const run = async (stage: ClientStage): Promise<void> => {
    await stage.up();
    const outcome = await stage.attach();
    holds(said.test(outcome), `The outcome of attaching is ${outcome}`);
    stage.noneLost();
  };
  const meddle = answering(OP.OPEN, (link, frame) => link.request({ ...tag(frame), ...answer(frame) }));
  return clientCase(`client.open.${id}`, section, expects, run, { meddle });
}

const OPENED = {
  handle: 1,
  id: 'raw-volume',
  sizeBytes: 1024,
  blockSizeBytes: 512,
  readonly: false,
  shared: false,
  canDiscard: false,
  identity: 'i',
  life: 'l',
};

function openField(id: string, expects: string, changes: Readonly<Record<string, Packable>>): ClientCase {
  const [name = ''] = Object.keys(changes);
  const body = pack({ ...OPENED, ...changes });
  return opening(
    id,
    'OPEN answer',
    `An OPEN answered ${expects} attaches nothing and says why`,
    () => ({ body }),
    new RegExp(`OPEN answer: field ${name} must be`),
  );
}

const OPEN_CASES: readonly ClientCase[] = [
  opening(
    'held',
    'Failure answer',
    "The status shows an OPEN answered HELD with the server's sentence, without control characters",
    () => ({ handle: STATUS.HELD, body: FailureAnswer.encode({ sentence: 'Held by \u001b[2Jvenus', holders: [] }) }),
    /Held by  ?\[2Jvenus/,
  ),
  opening(
    'no-sentence',
    'Failure answer',
    'The status shows an OPEN that fails without a sentence with the sentence of its status',
    () => ({ handle: STATUS.NO_RIGHTS, body: Buffer.alloc(0) }),
    /This client may not use the volume/,
  ),
  openField('block-size', 'with blocks of 1000 bytes', { blockSizeBytes: 1000 }),
  openField('size', 'with a size of 2^53 - 1', { sizeBytes: 2 ** 53 - 1 }),
  openField('handle', 'with handle 65,536', { handle: 65_536 }),
  openField('identity', 'with a blank in the verifier', { identity: 'a b' }),
  clientCase(
    'client.open.other-identity',
    'A new session',
    'If a volume has another identity in a new session, nothing is sent again and its I/O fails',
    async (stage) => {
      const nbd = await stage.nbd();
      await nbd.write(0, CONTENT);
      otherIdentity.isTold = true;
      stage.server.startAnew();
      equals('The errno of WRITE', await errnoOf(nbd.write(0, CONTENT)), EIO);
      equals('WRITEs that the server got', otherIdentity.writes, 1);
    },
    {
      meddle: (_step, link, frame) => {
        if (frame?.op === OP.WRITE) otherIdentity.writes++;
        if (frame?.op !== OP.OPEN || !otherIdentity.isTold) return false;
        link.request({ ...tag(frame), body: pack({ ...OPENED, identity: 'another' }) });
        return true;
      },
    },
  ),
];

const otherIdentity = { isTold: false, writes: 0 };

function listBody(generation: number, names: readonly string[]): Buffer {
  return pack({ generation, interfaces: [], volumes: names.map((name) => ({ ...VOLUME, name, id: name })) });
}

/** Makes a case in which the list changes to generation 2. Only the frame that `tell` sends reports the change. */
function changing(id: string, expects: string, tell: (link: RawServerLink) => void): ClientCase {
  const list = { generation: 1, askedMs: 0 };
  const run = async (stage: ClientStage): Promise<void> => {
    await stage.becomes('The first list is known', async () => (await stage.listed()).includes('one'));
    await stage.becomes('Nobody asks any more', () => performance.now() - list.askedMs > SETTLED_MS);
    list.generation = 2;
    for (const link of stage.server.links) tell(link);
    await stage.becomes('The second list is known', async () => (await stage.listed()).includes('two'));
  };
  const meddle = answering(OP.LIST, (link, frame) => {
    const { generation } = list;
    list.askedMs = performance.now();
    link.request({ ...tag(frame), body: listBody(generation, [generation === 1 ? 'one' : 'two']) });
  });
  return clientCase(`client.list.${id}`, 'Liveness', expects, run, { meddle });
}

const LIST_CASES: readonly ClientCase[] = [
  clientCase(
    'client.list.parts',
    'LIST answer',
    'A list in parts is put together',
    async (stage) => {
      await stage.becomes('All parts are known', async () => (await stage.listed()).join() === 'one,two,three,four');
    },
    {
      meddle: answering(OP.LIST, (link, frame) =>
        link.request(
          { ...tag(frame), flags: FLAG.MORE, body: listBody(1, ['one', 'two']) },
          { ...tag(frame), flags: FLAG.MORE, body: listBody(1, []) },
          { ...tag(frame), body: listBody(1, ['three', 'four']) },
        ),
      ),
    },
  ),
  clientCase(
    'client.list.unknown-fields',
    'Message bodies',
    'The client ignores unknown fields',
    async (stage) => {
      await stage.becomes('The list is known', async () => (await stage.listed()).includes('one'));
    },
    {
      meddle: answering(OP.LIST, (link, frame) => {
        const volume = { ...VOLUME, name: 'one', colour: 'blue' };
        link.request({ ...tag(frame), body: pack({ generation: 1, interfaces: [], volumes: [volume], weather: [1, { wind: 3 }] }) });
      }),
    },
  ),
  clientCase(
    'client.list.fails',
    'Status',
    'A LIST that fails with a status of a newer server leaves the path up',
    async (stage) => {
      await stage.becomes('It was answered', () => failedLists.count > 0);
      await stage.up();
      stage.noneLost();
    },
    {
      meddle: answering(OP.LIST, (link, frame) => {
        failedLists.count++;
        link.request({ ...tag(frame), handle: 99, body: FailureAnswer.encode({ sentence: 'What is that', holders: [] }) });
      }),
    },
  ),
];

const failedLists = { count: 0 };

const PONG_CASES: readonly ClientCase[] = [
  clientCase(
    'client.ping.answered',
    'PING and PONG',
    'A PING from the server is answered with a PONG that has its number and clock',
    async (stage) => {
      await stage.becomes('The PONG is there', () => pongs.some(({ number, clockMs }) => number === 4711 && clockMs === 0.5));
    },
    {
      meddle: (step, link, frame) => {
        const body = Ping.encode({ number: 4711, clockMs: 0.5, heard: 0, oldestMs: 0, generation: 1 });
        if (step === 'welcomed') link.request({ op: OP.PING, body });
        if (frame?.op === OP.PONG) pongs.push(Ping.decode(frame.body, 0, frame.body.length));
        return false;
      },
    },
  ),
  clientCase(
    'client.ping.unasked',
    'PING and PONG',
    'A PONG without a PING has no effect',
    async (stage) => {
      const nbd = await stage.nbd();
      await nbd.write(0, CONTENT);
      stage.noneLost();
    },
    {
      meddle: behindWelcome(() => {
        const body = Ping.encode({ number: 9, clockMs: 9, heard: 9, oldestMs: 9, generation: 1 });
        return frameBytes({ op: OP.PONG, body });
      }),
    },
  ),
];

const pongs: { readonly number: number; readonly clockMs: number }[] = [];

/** Cases that run after all others, because they attach a volume, and rsiod then asks every server for its list. */
export const ALONE_CASES: readonly ClientCase[] = [
  changing('notify', 'NOTIFY of a higher generation makes the client send LIST', (link) => link.request({ op: OP.NOTIFY, aux: 2 })),
  changing('ping', 'A PING with a higher generation makes the client send LIST', (link) =>
    link.request({ op: OP.PING, body: Ping.encode({ number: 1, clockMs: 1, heard: 0, oldestMs: 0, generation: 2 }) }),
  ),
  changing('pong', 'A PONG with a higher generation makes the client send LIST', ({ server }) => {
    server.generation = 2;
  }),
];

export const VOLUME_CASES: readonly ClientCase[] = [...STATUS_CASES, ...IO_CASES, ...OPEN_CASES, ...LIST_CASES, ...PONG_CASES];
