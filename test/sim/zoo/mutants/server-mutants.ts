// Mutants of the server's end: slot table, answers, FENCED, execution, buffers, flushes. The zoo runs these mutants. If a check of the
// client would limit the damage, the mutant also breaks the check, and says so.

import { SlotTable } from '@rsio/protocol/link/slot-table';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { Encoder } from '@rsio/protocol/wire/encoder';
import { ANSWER, FLAG, OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Backend } from '@rsio/rssrv/storage/io/backend';
import { type OpenVolume, execute } from '@rsio/rssrv/session/request';
import { ReExecutions } from '@rsio/rssrv/session/re-executions';
import type { Admission, ServerPath } from '@rsio/rssrv/session/server-path';
import { Session, type SessionPorts } from '@rsio/rssrv/session/session';
import { override } from '../../base/override.ts';
import { all, lettingStrayAnswersPass, type Mutant, type PrivateAs } from './mutant.ts';

interface Entry {
  seq: number;
  state: 'idle' | 'executing' | 'done';
  op: number;
  bodyBytes: number;
  owedFirst: number;
  owedMore: number[];
}

interface TableInner {
  entries: PrivateAs<SlotTable['entries'], Entry[]>;
  executingSlots: PrivateAs<SlotTable['executingSlots'], number>;
  executingBytesNow: PrivateAs<SlotTable['executingBytesNow'], number>;
  finishAtOnce: PrivateAs<SlotTable['finishAtOnce'], (slot: number, status: number) => void>;
}

interface SessionInner {
  slots: PrivateAs<Session['slots'], TableInner>;
  paths: PrivateAs<Session['paths'], Map<number, ServerPath>>;
  ports: PrivateAs<Session['ports'], SessionPorts>;
  isEnding: PrivateAs<Session['isEnding'], boolean>;
}

const EMPTY = Buffer.alloc(0);
const SPOILED = 0xb3;

function owedOf({ owedFirst, owedMore }: Entry): number[] {
  return [owedFirst, ...owedMore].filter((number) => number >= 0);
}

/** When a path ends, sends the answers that are owed on this path over another path. */
function strayAnswers(): () => void {
  return override<SessionInner, [ServerPath, string], void>(Session, 'pathClosed', (original) => (self, path, reason) => {
    const other = [...self.paths.keys()].find((number) => number !== path.number);
    for (const entry of self.slots.entries) {
      const owed = owedOf(entry);
      if (other === undefined || owed.includes(other) || !owed.includes(path.number)) continue;
      [entry.owedFirst = other, ...entry.owedMore] = owed.map((number) => (number === path.number ? other : number));
    }
    original(self, path, reason);
  });
}

function answerNow(self: SessionInner, header: Header): void {
  const owed = owedOf(self.slots.entries[header.slot]!);
  self.slots.finishAtOnce(header.slot, STATUS.OK);
  for (const number of owed) {
    const to = self.paths.get(number);
    to?.connection.encoder.io(header.op | ANSWER, 0, STATUS.OK, header.slot, header.seq, header.lba, header.count);
    to?.flushSoon();
  }
}

/** Executes the request of a completed slot again. */
function executeAgain(table: TableInner, slot: number, path: number): void {
  const entry = table.entries[slot]!;
  entry.state = 'executing';
  entry.owedFirst = path;
  table.executingSlots++;
  table.executingBytesNow += entry.bodyBytes;
}

type ReadLater = [open: OpenVolume, path: ServerPath, header: Header, first: boolean];

type Change = [open: OpenVolume, header: Header, body: Buffer, offset: number, lengthBytes: number];

const ANSWER_MUTANTS: readonly Mutant[] = [
  {
    name: 'stray',
    rule: 'S1',
    breaks: 'An answer whose path has ended is sent on another path',
    apply: strayAnswers,
  },
  {
    name: 'no-receipt',
    rule: 'S1',
    breaks: 'Only the newest copy of an executing request is answered',
    apply: () =>
      override<object, [number, number, ...unknown[]], number[]>(
        SlotTable,
        'finish',
        (original) =>
          (self, ...args) =>
            original(self, ...args).slice(-1),
      ),
  },
  {
    name: 'done-dup',
    rule: 'S1',
    breaks: 'A copy of a completed change is dropped as a duplicate',
    apply: () =>
      override<SessionInner, [ServerPath, Header, Buffer, number], void>(
        Session,
        'answerDone',
        (original) => (self, path, header, body, offset) => {
          if (header.op === OP.READ) original(self, path, header, body, offset);
        },
      ),
  },
  {
    name: 'exec-copy',
    rule: 'S1',
    breaks: 'A copy of a completed change executes again',
    apply: () =>
      override<{ entries: Entry[] }, [Header, ...unknown[]], string>(SlotTable, 'receive', (original) => (self, header, ...others) => {
        const entry = self.entries[header.slot];
        if (entry?.state === 'done' && entry.seq === header.seq && entry.op === OP.WRITE) entry.seq = header.seq - 1;
        return original(self, header, ...others);
      }),
  },
  {
    name: 'reread-exec',
    rule: 'S1',
    breaks: 'A READ repeated for a late copy executes in its slot once more',
    apply: () =>
      override<SessionInner, ReadLater, void>(Session, 'readFromPool', (original) => (self, open, path, header, first) => {
        if (!first) executeAgain(self.slots, header.slot, path.number);
        original(self, open, path, header, true);
      }),
  },
  {
    name: 'reread-joined',
    rule: 'S1',
    breaks: 'A copy of a READ joins the execution of an earlier READ with the same tag',
    explorer: 'rereads',
    apply: () => override<ReExecutions, [number], void>(ReExecutions, 'superseded', () => () => undefined),
  },
  {
    name: 'stray-ignored',
    rule: 'S3',
    breaks: 'A server answers on other paths, and the client accepts answers without a request on their path',
    apply: () => all(strayAnswers(), lettingStrayAnswersPass()),
  },
  {
    name: 'fenced-early',
    rule: 'S5',
    breaks: 'FENCED is sent while the socket is still open and read, until the peer has closed it',
    apply: () =>
      override<SessionInner, [ServerPath, number], void>(Session, 'fence', () => (_self, path, number) => {
        path.connection.encoder.message(OP.FENCED, 0, 0, 0, 0, number, EMPTY);
      }),
  },
  {
    name: 'join-no-close',
    rule: 'S5',
    breaks: 'WELCOME to a join counts as FENCED, but the paths that its PROOF named as dead stay open',
    apply: () =>
      override<SessionInner, [unknown, Admission], void>(
        Session,
        'admit',
        (original) => (self, transport, admission) => original(self, transport, { ...admission, dead: [] }),
      ),
  },
];

const EXECUTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'part-body',
    rule: 'S7',
    breaks: 'A WRITE executes when its body starts to arrive',
    apply: partBody,
  },
  {
    name: 'buffer-early',
    rule: 'S8',
    breaks: 'An output buffer is reused before its write has completed',
    apply: () =>
      override<EncoderInner, [], void>(Encoder, 'flush', () => (self) => {
        const output = self.output;
        const lengthBytes = self.position - self.start;
        if (output === null || lengthBytes === 0) return;
        const start = self.start;
        self.start = self.position;
        self.underWayBytes += lengthBytes;
        output.sendsUnderWay++;
        self.sender.send(output.bytes, start, lengthBytes, () => undefined);
        self.sent(output, lengthBytes);
      }),
  },
  {
    name: 'storage-buffer-early',
    rule: 'S8',
    breaks: "A WRITE's body returns to the pool while the storage still reads it",
    apply: () =>
      override<SessionInner, Change, void>(Session, 'changeInPool', (original) => (self, open, ...others) => {
        const backend: Backend = Object.create(open.backend);
        backend.write = (source, offset, lengthBytes, positionBytes, fua, done) => {
          open.backend.write(source, offset, lengthBytes, positionBytes, fua, done);
          self.ports.clock.soon(() => source.fill(SPOILED, offset, offset + lengthBytes));
        };
        original(self, { ...open, backend }, ...others);
      }),
  },
  {
    name: 'answered-early',
    rule: 'O2',
    breaks: 'A WRITE is answered before it is executed',
    apply: () =>
      override<SessionInner, Change, void>(Session, 'changeInPool', (original) => (self, open, header, body, offset, lengthBytes) => {
        if (header.op !== OP.WRITE) {
          original(self, open, header, body, offset, lengthBytes);
          return;
        }
        const copy = Buffer.from(body.subarray(offset, offset + lengthBytes));
        execute(open, header, copy, () => undefined);
        answerNow(self, header);
      }),
  },
  {
    name: 'flush-early',
    rule: 'O2',
    breaks: 'FLUSH is answered without a sync',
    apply: () =>
      override<SessionInner, Change, void>(Session, 'changeInPool', (original) => (self, open, header, ...body) => {
        if (header.op === OP.FLUSH) answerNow(self, header);
        else original(self, open, header, ...body);
      }),
  },
  {
    name: 'fua-ignored',
    rule: 'O2',
    breaks: 'A WRITE with FUA is not written through',
    apply: () =>
      override<SessionInner, [ServerPath, Header, Buffer, number], void>(
        Session,
        'change',
        (original) => (self, path, header, body, offset) =>
          original(self, path, { ...header, flags: header.flags & ~FLAG.FUA }, body, offset),
      ),
  },
  {
    name: 'begun-at-the-end',
    rule: 'S9',
    breaks: 'A session that is ending still accepts requests',
    apply: () =>
      override<SessionInner, [string, string], Promise<void>>(Session, 'endOnce', (original) => (self, code, sentence) => {
        const ended = original(self, code, sentence);
        self.isEnding = false;
        return ended;
      }),
  },
];

interface EncoderInner {
  output: PrivateAs<Encoder['output'], { bytes: Buffer; sendsUnderWay: number } | null>;
  start: PrivateAs<Encoder['start'], number>;
  position: PrivateAs<Encoder['position'], number>;
  underWayBytes: PrivateAs<Encoder['underWayBytes'], number>;
  sender: PrivateAs<Encoder['sender'], { send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void }>;
  sent: PrivateAs<Encoder['sent'], (output: object, lengthBytes: number) => void>;
}

interface DecoderInner {
  header: PrivateAs<Decoder['header'], Header>;
  target: PrivateAs<Decoder['target'], Buffer>;
  targetOffset: PrivateAs<Decoder['targetOffset'], number>;
  bodyBytes: PrivateAs<Decoder['bodyBytes'], number>;
  hasStopped: PrivateAs<Decoder['hasStopped'], boolean>;
  events: PrivateAs<Decoder['events'], { frame(header: Header, body: Buffer, offset: number): void }>;
  isGiven?: boolean;
}

/** Delivers a frame as soon as its body begins to arrive. Does not deliver the frame again when the body is complete. */
function partBody(): () => void {
  return all(
    override<DecoderInner, [number], number>(Decoder, 'beginBody', (original) => (self, bodyAt) => {
      const next = original(self, bodyAt);
      self.isGiven = !self.hasStopped && self.header.op === OP.WRITE;
      if (self.isGiven) self.events.frame({ ...self.header }, self.target, self.targetOffset);
      return next;
    }),
    override<DecoderInner, [], void>(Decoder, 'finishBody', (original) => (self) => {
      if (self.isGiven !== true) {
        original(self);
        return;
      }
      const { events: sink } = self;
      self.events = { ...sink, frame: () => undefined };
      original(self);
      self.events = sink;
    }),
  );
}

export const SERVER_MUTANTS: readonly Mutant[] = [...ANSWER_MUTANTS, ...EXECUTION_MUTANTS];
