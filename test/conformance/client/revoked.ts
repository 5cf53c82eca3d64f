// The reaction of rsiod when a server takes a handle or a volume away: STALE, TAKEN, HELD, take-overs, and the end of a replaced instance.
// The scripted server counts its handles and records what it receives. An application uses the volume over NBD.

import { REOPEN_RETRY_MS } from '@rsio/protocol/client/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, Farewell, IOCTL, OpenAnswer, OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { NbdIo } from '../../support/io/nbd-io.ts';
import type { RawFrame } from '../../support/peers/raw-peer.ts';
import type { Meddle, RawServerLink } from '../../support/peers/raw-server.ts';
import { type ClientCase, clientCase } from '../base/case.ts';
import { equals, holds } from '../base/check.ts';
import { errnoOf, tag } from './meddling.ts';
import type { ClientStage } from '../base/stage.ts';

const PIECE_BYTES = 8192;
const CONTENT = Buffer.alloc(PIECE_BYTES, 0x5a);
const EIO = 5;
const QUIET_MS = 300;
const IDENTITY = 'raw.1';
const HELD = { status: STATUS.HELD, sentence: 'Held by venus' };

interface Heard {
  readonly frame: RawFrame;
  readonly isStale: boolean;
}

class Revoker {
  readonly opens: OpenRequest[] = [];
  readonly heard: Heard[] = [];
  revokedUpTo = 0;
  /**
   * When the next request with this op arrives, the server revokes all handles before it handles the request. -1: the server revokes no
   * handles.
   */
  revokesAtOp = -1;
  /** Whether the server revokes each handle as soon as it has granted it. */
  isTireless = false;
  /** Whether another client holds the volume, so that only a take-over succeeds. */
  isHeld = false;
  /** Refusals for the next OPENs, in order. */
  readonly refusals: { readonly status: number; readonly sentence: string }[] = [];
  /** The server holds back the next WRITE at this sector until the test executes it with `heldBack`. */
  heldBackLba = -1;
  heldBack: (() => void) | null = null;
  private handles = 0;

  readonly meddle: Meddle = (step, link, frame) => {
    if (step !== 'request' || frame === null) return false;
    const copy = { ...frame, body: Buffer.from(frame.body) };
    switch (frame.op) {
      case OP.OPEN:
        this.open(link, copy);
        return true;
      case OP.READ:
      case OP.WRITE:
      case OP.FLUSH:
      case OP.IOCTL:
      case OP.CLOSE:
        return this.io(link, copy);
      default:
        return false;
    }
  };

  revokeAll(): void {
    this.revokedUpTo = this.handles;
  }

  /** Handles of the received requests with this op, in order. */
  handlesOf(op: number, aux = 0): number[] {
    return this.heard.filter(({ frame }) => frame.op === op && (op !== OP.IOCTL || frame.aux === aux)).map(({ frame }) => frame.handle);
  }

  private open(link: RawServerLink, frame: RawFrame): void {
    this.opens.push(OpenRequest.decode(frame.body, 0, frame.body.length));
    const isHeld = this.isHeld && this.opens.at(-1)?.take === TAKE.NO;
    const refusal = isHeld ? HELD : this.refusals.shift();
    if (refusal !== undefined) {
      link.request({ ...tag(frame), handle: refusal.status, body: FailureAnswer.encode({ sentence: refusal.sentence, holders: [] }) });
      return;
    }
    const handle = ++this.handles;
    if (this.isTireless) this.revokeAll();
    const about = { id: 'raw-volume', sizeBytes: 1 << 20, blockSizeBytes: 512, readonly: false, shared: false, canDiscard: false };
    link.request({ ...tag(frame), body: OpenAnswer.encode({ handle, ...about, identity: IDENTITY, life: 'raw' }) });
  }

  /** Answers STALE if the handle is revoked. Otherwise returns false, so that the usual answer follows. */
  private io(link: RawServerLink, frame: RawFrame): boolean {
    if (frame.op === this.revokesAtOp) {
      this.revokesAtOp = -1;
      this.revokeAll();
    }
    const isStale = frame.handle <= this.revokedUpTo;
    this.heard.push({ frame, isStale });
    const isMessage = frame.op === OP.IOCTL || frame.op === OP.CLOSE;
    const range = isMessage ? {} : { lba: frame.lba, count: frame.count };
    if (isStale) {
      link.request({ ...tag(frame), handle: STATUS.STALE, ...range });
    } else if (frame.op === OP.WRITE && frame.lba === this.heldBackLba) {
      this.heldBackLba = -1;
      this.heldBack = () => link.request({ ...tag(frame), ...range });
    } else return false;
    return true;
  }
}

function revoking(
  id: string,
  section: string,
  expects: string,
  run: (stage: ClientStage, server: Revoker) => Promise<void>,
  server = new Revoker(),
): ClientCase {
  return clientCase(`client.revoked.${id}`, section, expects, (stage) => run(stage, server), { meddle: server.meddle });
}

async function opened(stage: ClientStage): Promise<NbdIo> {
  const nbd = await stage.nbd();
  await nbd.write(0, CONTENT);
  return nbd;
}

/** Makes a case in which the handle is revoked before I/O with this op, and the application must notice nothing. */
function again(id: string, op: number, io: (nbd: NbdIo) => Promise<unknown>): ClientCase {
  return revoking(
    id,
    'R4',
    `A ${id.toUpperCase()} answered STALE is sent again on a new handle, which is opened with the identity of the old one`,
    async (stage, server) => {
      const nbd = await opened(stage);
      server.revokesAtOp = op;
      const before = server.handlesOf(op).length;
      await io(nbd);
      equals('The handles it was sent on', server.handlesOf(op).slice(before), [1, 2]);
      equals(
        'take and resume of the OPENs',
        server.opens.map(({ take, resume }) => [take, resume]),
        [
          [TAKE.NO, null],
          [TAKE.NO, IDENTITY],
        ],
      );
      await stage.becomes('SETTLED came', () => server.handlesOf(OP.IOCTL, IOCTL.SETTLED).length > 0);
      await nbd.write(0, CONTENT);
      equals('Handles on which SETTLED came', server.handlesOf(OP.IOCTL, IOCTL.SETTLED), [2]);
      stage.noneLost();
    },
  );
}

const heldByVenus = new Revoker();
heldByVenus.isHeld = true;

const byes = { proofs: 0 };

export const REVOKED_CASES: readonly ClientCase[] = [
  again('read', OP.READ, async (nbd) => holds((await nbd.read(0, PIECE_BYTES)).equals(CONTENT), 'The READ gave something else')),
  again('write', OP.WRITE, (nbd) => nbd.write(PIECE_BYTES, CONTENT)),
  again('flush', OP.FLUSH, (nbd) => nbd.flush()),
  revoking(
    'waits',
    'R4',
    'While a request of a revoked handle is in flight, the client opens nothing and sends nothing new',
    async (stage, server) => {
      const [nbd, other, third] = [await opened(stage), await stage.nbd(), await stage.nbd()];
      server.heldBackLba = 16;
      const slow = nbd.write(PIECE_BYTES, CONTENT);
      await stage.becomes('The WRITE is there', () => server.heldBack !== null);
      server.revokesAtOp = OP.WRITE;
      const stale = other.write(2 * PIECE_BYTES, CONTENT);
      await stage.becomes('A WRITE was answered STALE', () => server.heard.some(({ frame, isStale }) => isStale && frame.op === OP.WRITE));
      const later = third.read(0, PIECE_BYTES);
      const heard = server.heard.length;
      await new Promise((resolve) => setTimeout(resolve, REOPEN_RETRY_MS + QUIET_MS));
      equals('OPENs and requests meanwhile', [server.opens.length, server.heard.length], [1, heard]);
      server.heldBack?.();
      await Promise.all([slow, stale, later]);
      equals('OPENs', server.opens.length, 2);
      equals('Handles of the last three WRITEs', server.handlesOf(OP.WRITE).slice(-3), [1, 1, 2]);
    },
  ),
  revoking('taken', 'A new session', 'An OPEN answered TAKEN fails the I/O with EIO and is not repeated', async (stage, server) => {
    const nbd = await opened(stage);
    server.refusals.push({ status: STATUS.TAKEN, sentence: 'Taken over by venus' });
    server.revokeAll();
    equals('The errno of WRITE', await errnoOf(nbd.write(0, CONTENT)), EIO);
    equals('The errno of a later READ', await errnoOf(nbd.read(0, PIECE_BYTES)), EIO);
    const { events } = await stage.host.call('events', { count: 1000 });
    equals('Events that name the new holder', events.filter(({ reason }) => reason === 'Taken over by venus').length, 1);
    holds(!(await stage.isAttached()), 'It is attached still');
    await new Promise((resolve) => setTimeout(resolve, REOPEN_RETRY_MS + QUIET_MS));
    equals('OPENs', server.opens.length, 2);
  }),
  revoking('held', 'A new session', 'An OPEN with resume answered HELD is tried again until it is granted', async (stage, server) => {
    const nbd = await opened(stage);
    server.refusals.push(HELD, HELD);
    server.revokeAll();
    await nbd.write(0, CONTENT);
    equals('OPENs', server.opens.length, 4);
  }),
  revoking(
    'for-ever',
    'R4',
    'If a server revokes each handle at once, the client retries once a second, and I/O continues when it stops',
    async (stage, server) => {
      const nbd = await opened(stage);
      server.isTireless = true;
      server.revokeAll();
      const write = nbd.write(0, CONTENT);
      const beganMs = performance.now();
      await stage.becomes('Four OPENs came', () => server.opens.length >= 5);
      const tookMs = performance.now() - beganMs;
      holds(tookMs > 2.5 * REOPEN_RETRY_MS, `Four OPENs came within ${tookMs} ms`);
      server.isTireless = false;
      await write;
    },
  ),
  revoking(
    'idle',
    'A revoked handle',
    'A client without I/O sends IDENTIFY if a list does not name it as holder',
    async (stage, server) => {
      await opened(stage);
      const asked = server.handlesOf(OP.IOCTL, IOCTL.IDENTIFY).length;
      for (const link of stage.server.links) link.request({ op: OP.NOTIFY, aux: 2 });
      await stage.becomes('IDENTIFY came', () => server.handlesOf(OP.IOCTL, IOCTL.IDENTIFY).length > asked);
    },
  ),
  revoking(
    'take-over',
    'OPEN',
    'The OPEN of an attach with take-over contains the take-over',
    async (stage, server) => {
      await stage.up();
      await stage.becomes('The OPEN of the beginning was refused', () => server.opens.length > 0);
      const outcome = await stage.attach('force');
      holds(/"done":true/.test(outcome), `The outcome of attaching is ${outcome}`);
      const takes = server.opens.map(({ take }) => take);
      equals('The first OPEN and the last', [takes[0], takes.at(-1)], [TAKE.NO, TAKE.FORCE]);
    },
    heldByVenus,
  ),
  clientCase(
    'client.replaced.bye',
    'R5',
    'After a BYE E_REPLACED all I/O fails with EIO, and the client starts no new session',
    async (stage) => {
      const nbd = await opened(stage);
      const before = { proofs: byes.proofs, links: stage.server.links.length };
      for (const link of stage.server.links)
        link.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_REPLACED', sentence: 'Started anew elsewhere' }) });
      await stage.becomes('It is detached', async () => !(await stage.isAttached()));
      equals('The errno of WRITE', await errnoOf(nbd.write(0, CONTENT)), EIO);
      await stage.becomes('It was tried again', () => stage.server.links.length > before.links + 1);
      equals('PROOFs since', byes.proofs - before.proofs, 0);
      await stage.says(/Started anew elsewhere.*\[E_REPLACED\]/);
      holds(/E_REPLACED/.test(await stage.attach()), 'Attaching it says something else');
    },
    {
      meddle: (step) => {
        if (step === 'proof') byes.proofs++;
        return false;
      },
    },
  ),
];
