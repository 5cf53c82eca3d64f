// A snapshot at the peer, open read-only: READs, and the questions what has changed and what has data. The trunk sends requests again over
// other paths and in later sessions. Invariant: data counts only while the id and the size of the open snapshot are those of the order.

import type { Clock } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { Attachment } from '@rsio/protocol/client/attachment';
import type { Opener } from '@rsio/protocol/client/opener';
import { Request } from '@rsio/protocol/client/requests/request';
import type { SessionAnswer } from '@rsio/protocol/client/session-call';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import type { Trunk } from '@rsio/protocol/client/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import { ChangesRequest, ExtentsAnswer, ExtentsRequest, IOCTL, TAKE } from '@rsio/protocol/wire/messages';
import { MirrorSumsAnswer, MirrorSumsRequest } from '@rsio/protocol/wire/mirror-messages';
import { MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import type { PullSource, SourceEvents } from './pull.ts';

/** Statuses of an OPEN that prove that this client does not hold the snapshot. */
const NOT_HELD: ReadonlySet<number> = new Set([STATUS.UNKNOWN_VOLUME, STATUS.NO_RIGHTS]);

const CODES: Readonly<Record<number, ErrorCode>> = {
  [STATUS.UNKNOWN_VOLUME]: 'E_UNKNOWN_SNAPSHOT',
  [STATUS.NO_RIGHTS]: 'E_RIGHTS',
  [STATUS.UNSUPPORTED]: 'E_NO_REFLINK',
  [STATUS.TAKEN]: 'E_REPLACED',
};

/** `name`: NAME@SNAPSHOT. */
export interface SnapshotPlace {
  readonly name: string;
  readonly universe: number;
}

/** What an open snapshot must be. */
export interface SnapshotFacts {
  readonly id: string;
  readonly sizeBytes: number;
}

export class RemoteSnapshot implements PullSource {
  readonly attachment: Attachment;
  private readonly facts: SnapshotFacts | null;
  private readonly peer: string;
  private readonly clock: Clock;
  private readonly opener: Opener;
  private readonly target: SingleTarget;
  private readonly closed: (isReleased: boolean) => void;
  private events: SourceEvents | null = null;
  /** True if the last OPEN was refused; `isGone`: by an answer that proves that this client does not hold the snapshot. */
  private isRefused = false;
  private isGone = false;

  /**
   * `facts`: null if the snapshot is only closed, whichever it is. `closed` is called once, with true when the peer has confirmed that this
   * client does not hold the snapshot.
   */
  constructor(
    { name, universe }: SnapshotPlace,
    facts: SnapshotFacts | null,
    { peer, clock, trunk, opener }: { readonly peer: string; readonly clock: Clock; readonly trunk: Trunk; readonly opener: Opener },
    closed: (isReleased: boolean) => void,
  ) {
    this.facts = facts;
    this.peer = peer;
    this.clock = clock;
    this.opener = opener;
    this.closed = closed;
    this.attachment = new Attachment(name, universe, true, TAKE.NO, null);
    this.target = new SingleTarget(this.attachment, trunk);
  }

  get isHalted(): boolean {
    return this.target.standing === 'halted' || this.target.standing === 'over';
  }

  get reason(): string {
    return this.target.pathCount === 0 ? `Peer ${this.peer} is not connected` : `Peer ${this.peer}: ${this.target.reason}`;
  }

  open(events: SourceEvents): void {
    this.events = events;
    this.opener.add(this.attachment);
  }

  /** Called when the peer has granted OPEN, for the first time or again. */
  opened(): void {
    const { volume } = this.target;
    const { facts } = this;
    if (volume === null) return;
    if (facts !== null && volume.id !== facts.id)
      this.events?.failed(this.errorOf(STATUS.UNKNOWN_VOLUME, `it is another one now, and the one with id ${facts.id} was removed`));
    else if (facts !== null && volume.sizeBytes !== facts.sizeBytes)
      this.events?.failed(
        new RsError(
          'E_PROTOCOL',
          `Snapshot ${this.target.name} has ${volume.sizeBytes} bytes, and not ${facts.sizeBytes}: ask again for the moments`,
        ),
      );
    else this.events?.opened(volume.blockSizeBytes);
  }

  /** Called when the peer has refused OPEN for good. */
  failed(status: number, sentence: string): void {
    this.isRefused = true;
    this.isGone = NOT_HELD.has(status);
    this.events?.failed(this.errorOf(status, sentence));
  }

  read(buffer: Buffer, offsetBytes: number, lengthBytes: number, done: (error: RsError | null) => void): void {
    const request = new Request();
    request.op = OP.READ;
    request.lba = offsetBytes / SECTOR_BYTES;
    request.count = lengthBytes / SECTOR_BYTES;
    request.bodyBytes = lengthBytes;
    request.buffer = buffer;
    request.events = {
      requestDone: (_, status) => done(status === STATUS.OK ? null : this.errorOf(status, statusEntry(status).sentence)),
    };
    this.target.submit(request, this.clock.monotonicMs());
  }

  changes(since: string, offsetBytes: number, lengthBytes: number, done: (pairs: readonly number[] | RsError) => void): void {
    const body = ChangesRequest.encode({ since, lba: offsetBytes / SECTOR_BYTES, sectors: lengthBytes / SECTOR_BYTES });
    this.target.ioctl(IOCTL.CHANGES, body, (answer) => done(this.pairsOf(answer)));
  }

  extents(offsetBytes: number, lengthBytes: number, done: (pairs: readonly number[] | null | RsError) => void): void {
    const body = ExtentsRequest.encode({ lba: offsetBytes / SECTOR_BYTES, sectors: lengthBytes / SECTOR_BYTES });
    this.target.ioctl(IOCTL.EXTENTS, body, (answer) => done(answer.status === STATUS.UNSUPPORTED ? null : this.pairsOf(answer)));
  }

  sums(offsetBytes: number, lengthBytes: number, pieceBytes: number, done: (sums: Buffer | null | RsError) => void): void {
    const [lba, sectors, pieceSectors] = [offsetBytes / SECTOR_BYTES, lengthBytes / SECTOR_BYTES, pieceBytes / SECTOR_BYTES];
    this.target.ioctl(IOCTL.MIRROR_SUMS, MirrorSumsRequest.encode({ lba, sectors, pieceSectors }), (answer) => {
      const { status, bodies, sentence } = answer;
      if (status === STATUS.UNSUPPORTED || status === STATUS.OUT_OF_MEMORY) done(null);
      else if (status !== STATUS.OK) done(this.errorOf(status, sentence));
      else
        done(
          this.decoded(bodies[0], (body) => {
            const { sums } = MirrorSumsAnswer.decode(body, 0, body.length);
            const wantedBytes = Math.ceil(lengthBytes / pieceBytes) * MIRROR_SUM_BYTES;
            if (sums.length !== wantedBytes) throw new RsError('E_PROTOCOL', `${sums.length} bytes of checksums, and not ${wantedBytes}`);
            return sums;
          }),
        );
    });
  }

  close(): void {
    this.events = null;
    const { isRefused, isGone } = this;
    this.opener.close(this.attachment, (problem) => this.closed(isRefused ? isGone : problem === null));
  }

  private pairsOf({ status, bodies, sentence }: SessionAnswer): readonly number[] | RsError {
    if (status !== STATUS.OK) return this.errorOf(status, sentence);
    return this.decoded(bodies[0], (body) => ExtentsAnswer.decode(body, 0, body.length).extents);
  }

  private decoded<T>(body: Buffer = Buffer.alloc(0), decode: (body: Buffer) => T): T | RsError {
    try {
      return decode(body);
    } catch (thrown) {
      return new RsError('E_PROTOCOL', `Peer ${this.peer} sent a wrong answer about ranges: update its rssrv`, {}, thrown);
    }
  }

  private errorOf(status: number, sentence: string): RsError {
    return new RsError(CODES[status] ?? 'E_VOLUME', `Snapshot ${this.target.name} of peer ${this.peer}: ${sentence}`, { status });
  }
}
