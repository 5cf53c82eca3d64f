// The load generator against servers of a few lines, written apart from its own dialects so that a mistake there is not made twice.
// Cuts of the answers are drawn; what a real server does with the requests is left to the bench itself, which checks all data.

import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { HEADER_BYTES, SECTOR_BYTES } from '@rsio/protocol/limits';
import { emptyHeader, readHeader, writeIoHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { decodeHeartbeat, encodeHeartbeat } from '@rsio/protocol/wire/message-codec';
import { STATUS } from '@rsio/protocol/wire/status';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isMarked, mark } from '../data-file.ts';
import { MARKED_BLOCK_BYTES, type Workload } from '../workload.ts';
import type { Dialect } from './dialect.ts';
import { Load } from './load.ts';
import { NbdDialect } from './nbd-dialect.ts';
import { RsioDialect } from './rsio-dialect.ts';

const NBD_REQUEST_BYTES = 28;
const READS: Workload = { title: 'reads', direction: 'read', order: 'random', blockBytes: MARKED_BLOCK_BYTES, depth: 3 };
const WRITES: Workload = { ...READS, direction: 'write' };

interface Asked {
  readonly slot: number;
  readonly isWrite: boolean;
  readonly block: number;
  readonly answer: Buffer;
}

type Serve = (said: Buffer) => Asked[];

/** Servers of one kind each, as simple as can be: what was said in, answers out. */
const serveRsio: Serve = (said) => {
  const asked: Asked[] = [];
  for (let at = 0; at < said.length; ) {
    const header = emptyHeader();
    readHeader(said, at, header);
    const isWrite = header.op === OP.WRITE;
    const block = (header.lba * SECTOR_BYTES) / MARKED_BLOCK_BYTES;
    const answer = Buffer.alloc(HEADER_BYTES + (isWrite ? 0 : MARKED_BLOCK_BYTES));
    writeIoHeader(answer, 0, header.op | ANSWER, 0, STATUS.OK, header.slot, header.seq, header.lba, header.count);
    if (isWrite) expect(isMarked(said, at + HEADER_BYTES, block)).toBe(true);
    else mark(answer, HEADER_BYTES, block);
    asked.push({ slot: header.slot, isWrite, block, answer });
    at += HEADER_BYTES + (isWrite ? MARKED_BLOCK_BYTES : 0);
  }
  return asked;
};

const serveNbd: Serve = (said) => {
  const asked: Asked[] = [];
  for (let at = 0; at < said.length; ) {
    const isWrite = said.readUInt16BE(at + 6) === 1;
    const slot = said.readUInt32BE(at + 12);
    const block = Number(said.readBigUInt64BE(at + 16)) / MARKED_BLOCK_BYTES;
    expect(said.readUInt32BE(at + 24)).toBe(MARKED_BLOCK_BYTES);
    const answer = Buffer.alloc(16 + (isWrite ? 0 : MARKED_BLOCK_BYTES));
    answer.writeUInt32BE(0x67446698, 0);
    answer.writeUInt32BE(slot, 12);
    if (isWrite) expect(isMarked(said, at + NBD_REQUEST_BYTES, block)).toBe(true);
    else mark(answer, 16, block);
    asked.push({ slot, isWrite, block, answer });
    at += NBD_REQUEST_BYTES + (isWrite ? MARKED_BLOCK_BYTES : 0);
  }
  return asked;
};

function rsio(): Dialect {
  return new RsioDialect({ kind: 'rsio', namespaceid: 1, node: 'n', nodekey: 'k', volume: 'v' });
}

const KINDS = [
  { name: 'RSIO', dialect: rsio, serve: serveRsio },
  { name: 'NBD', dialect: (): Dialect => new NbdDialect({ kind: 'nbd', export: '' }), serve: serveNbd },
];

/** Runs a load of `requests` against a server, its answers cut as `cuts` says; gives what the server was asked. */
async function runLoad(dialect: Dialect, serve: Serve, workload: Workload, requests: number, cuts: readonly number[]): Promise<Asked[]> {
  const said: Buffer[] = [];
  const load = new Load(dialect, (bytes) => said.push(Buffer.from(bytes)));
  const ended = load.begin(workload, 7, requests, workload.direction === 'read');
  const all: Asked[] = [];
  let cut = 0;
  while (said.length > 0) {
    const asked = serve(Buffer.concat(said.splice(0)));
    all.push(...asked);
    const answers = Buffer.concat(asked.map(({ answer }) => answer));
    for (let at = 0; at < answers.length; ) {
      const end = Math.min(at + (cuts[cut++ % cuts.length] ?? 1), answers.length);
      const piece = Buffer.from(answers.subarray(at, end));
      load.push(piece, piece.length);
      at = end;
    }
  }
  await ended;
  expect(load.answered).toBe(requests);
  return all;
}

for (const { name, dialect, serve } of KINDS) {
  test(`${name}: every request is asked once and answered, whatever the cuts of the answers`, async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 3 * MARKED_BLOCK_BYTES }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(cuts, fc.constantFrom(READS, WRITES), async (sizes, workload) => {
        const asked = await runLoad(dialect(), serve, workload, 20, sizes);
        expect(asked).toHaveLength(20);
        expect(asked.every(({ isWrite }) => isWrite === (workload === WRITES))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test(`${name}: a block that does not begin with its number is noticed`, async () => {
    const wrong: Serve = (said) => serve(said).map((one) => ({ ...one, answer: spoil(one.answer) }));
    await expect(runLoad(dialect(), wrong, READS, 3, [100])).rejects.toThrow(/does not begin with its number/);
  });

  test(`${name}: an answer that is an error ends the load`, async () => {
    const failing: Serve = (said) => serve(said).map((one) => ({ ...one, answer: fail(name, one.answer) }));
    await expect(runLoad(dialect(), failing, READS, 3, [16])).rejects.toThrow(/answer/);
  });
}

function spoil(answer: Buffer): Buffer {
  answer[16 + 7]! ^= 1;
  return answer;
}

function fail(name: string, answer: Buffer): Buffer {
  if (name === 'RSIO') answer.writeUInt16BE(STATUS.IO_ERROR, 2);
  else answer.writeUInt32BE(5, 4);
  return answer;
}

test('both protocols ask for the same blocks in the same order', async () => {
  const [ours, theirs] = await Promise.all(KINDS.map(({ dialect, serve }) => runLoad(dialect(), serve, READS, 50, [MARKED_BLOCK_BYTES])));
  expect(ours!.map(({ block }) => block)).toEqual(theirs!.map(({ block }) => block));
});

test('RSIO: a PING between answers is answered, and the answers go on', async () => {
  const pongs: Buffer[] = [];
  const said: Buffer[] = [];
  const load = new Load(rsio(), (bytes) => (bytes[0] === OP.PONG ? pongs : said).push(Buffer.from(bytes)));
  const ended = load.begin(READS, 7, 3, true);
  const [first, ...others] = serveRsio(Buffer.concat(said)).map(({ answer }) => answer);
  const body = encodeHeartbeat({ number: 5, clockMs: 12, heard: 0, oldestMs: 0, generation: 1 });
  const ping = Buffer.alloc(HEADER_BYTES);
  writeMessageHeader(ping, 0, OP.PING, 0, 0, 0, 0, body.length, 0);
  const received = Buffer.concat([first!, ping, body, ...others]);
  for (const byte of received) load.push(Buffer.from([byte]), 1);
  await ended;
  const pong = Buffer.concat(pongs);
  expect(decodeHeartbeat(pong, HEADER_BYTES, pong.length - HEADER_BYTES)).toMatchObject({ number: 5, clockMs: 12, heard: 1 });
});
