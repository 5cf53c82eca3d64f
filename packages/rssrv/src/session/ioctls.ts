// Answers the IOCTLs of an open handle in a worker. If only the listener can answer an IOCTL, this module asks the listener through ports.
// Invariant: each IOCTL is answered once; an IOCTL that works on the storage counts as a request in progress, so that a close waits for it.
// Rules: Q9.

import { counted } from '@rsio/base/lib/assert';
import type { InFlight } from '@rsio/base/structures/in-flight';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENTS_PER_ANSWER_MAX, MIRROR_MAP_PART_MAX_BYTES, MIRROR_SUM_BYTES, SUMS_PER_HANDLE_MAX } from '@rsio/protocol/wire/limits';
import { ExtentsAnswer, ExtentsRequest, IdentifyAnswer, IOCTL } from '@rsio/protocol/wire/messages';
import {
  MirrorClearRequest,
  MirrorMapAnswer,
  MirrorMapRequest,
  MirrorSumsAnswer,
  MirrorSumsRequest,
} from '@rsio/protocol/wire/mirror-messages';
import { STATUS, statusEntry, type Status } from '@rsio/protocol/wire/status';
import { WOULD_WAIT, type Backend, type ExtentsDone, type IntentView } from '../storage/io/backend.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { isSnapshotIoctl, type SnapshotAsk, snapshotIoctl, type SnapshotReply } from '../snapshots/reads/snapshot-asks.ts';
import { createHash } from 'node:crypto';

// Answers MIRROR_SUMS: checksums of a range of a replica or of a snapshot, with which a client compares it with another copy. Invariants:
// in each turn of the event loop, the process computes the checksum of at most one piece of one volume, so that checksums do not delay
// I/O. A handle has at most SUMS_PER_HANDLE_MAX of these requests in progress.
/**
 * Queued steps of all requests. One step runs in each turn of the event loop. Each handle has at most SUMS_PER_HANDLE_MAX steps in the
 * queue.
 */
const turns: (() => void)[] = [];

function inTurn(work: () => void): void {
  turns.push(work);
  if (turns.length === 1) setImmediate(takeTurn);
}

function takeTurn(): void {
  // The running step stays in the queue while it runs. If the running step adds another step, `inTurn` then schedules no second turn.
  turns[0]?.();
  turns.shift();
  if (turns.length > 0) setImmediate(takeTurn);
}

/** Called when the sums are known or the request has failed. `body` is null unless the status is OK. */
type SumsDone = (status: Status, body: Buffer | null) => void;

/**
 * Computes the checksums of the pieces in a range. The range must be within the volume. `done` is called once, and never before this
 * function has returned.
 */
function mirrorSums(backend: Backend, { lba, sectors, pieceSectors }: MirrorSumsRequest, done: SumsDone): void {
  const pieceBytes = pieceSectors * SECTOR_BYTES;
  const endBytes = (lba + sectors) * SECTOR_BYTES;
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, sectors * SECTOR_BYTES));
  const sums: Buffer[] = [];
  const next = (): void => {
    const positionBytes = lba * SECTOR_BYTES + sums.length * pieceBytes;
    if (positionBytes >= endBytes) return done(STATUS.OK, MirrorSumsAnswer.encode({ sums: Buffer.concat(sums) }));
    const lengthBytes = Math.min(pieceBytes, endBytes - positionBytes);
    const status = backend.tryRead(buffer, 0, lengthBytes, positionBytes);
    if (status === WOULD_WAIT) backend.read(buffer, 0, lengthBytes, positionBytes, (later) => inTurn(() => summed(later, lengthBytes)));
    else summed(status, lengthBytes);
  };
  const summed = (status: Status, lengthBytes: number): void => {
    if (status !== STATUS.OK) return done(status, null);
    sums.push(createHash('sha256').update(buffer.subarray(0, lengthBytes)).digest().subarray(0, MIRROR_SUM_BYTES));
    inTurn(next);
  };
  inTurn(next);
}

/** The listener's answer to a client's IOCTL SETTLED. */
export interface Settled {
  /** False if the client no longer has the hold. */
  readonly isSettled: boolean;
}

export interface IoctlPorts {
  /** Asks the listener. Resolves with null if the listener has ended. */
  askSnapshot(ask: SnapshotAsk): Promise<SnapshotReply | null>;
  /** Reports that the client has recovered its earlier writes in the given incarnation of the storage. */
  settle(volumeId: string, epoch: number, incarnation: string): Promise<Settled>;
}

/** The properties of an open handle that IOCTLs need. */
export interface IoctlHandle {
  readonly volume: ServedVolume;
  readonly backend: Backend;
  readonly readonly: boolean;
  readonly sizeBytes: number;
  readonly epoch: number;
  readonly incarnation: string;
  readonly inFlight: InFlight;
  /** Number of MIRROR_SUMS requests in progress. */
  sumsUnderWay: number;
}

export interface IoctlEvents {
  done(body: Buffer | null): void;
  refused(status: Status, sentence: string): void;
  /** Converts the status of the backend into the status of the answer (session-volumes.ts). */
  outcome(status: Status): Status;
}

/** Answers the IOCTL with this number. The handle must not be closing. Throws E_PROTOCOL if the request is not well formed. */
export async function ioctl(ports: IoctlPorts, open: IoctlHandle, number: number, body: Buffer, events: IoctlEvents): Promise<void> {
  if (number === IOCTL.IDENTIFY) events.done(identify(open));
  else if (number === IOCTL.EXTENTS) extents(open, body, events);
  else if (number === IOCTL.SETTLED) await settled(ports, open, events);
  else if (number === IOCTL.TERM) term(open, events);
  else if (isSnapshotIoctl(number)) await aboutSnapshot(ports, open, number, body, events);
  else if (number === IOCTL.MIRROR_SUMS) sums(open, body, events);
  else if (isMirrorIoctl(number)) aboutMirror(open, number, body, events);
  else events.refused(STATUS.UNSUPPORTED, `There is no IOCTL ${number}`);
}

/**
 * Answers the IOCTL TERM. The answer OK tells the client that the handle is not closing. For a closing handle, the caller answers STALE.
 */
function term({ volume }: IoctlHandle, events: IoctlEvents): void {
  if (volume.replica === undefined) events.refused(STATUS.UNSUPPORTED, `Volume ${volume.name} is no replica of a mirror`);
  else events.done(null);
}

async function settled(ports: IoctlPorts, { volume, epoch, incarnation }: IoctlHandle, events: IoctlEvents): Promise<void> {
  const { isSettled } = await ports.settle(volume.id, epoch, incarnation);
  if (isSettled) events.done(null);
  else refuse(events, STATUS.STALE);
}

async function aboutSnapshot(ports: IoctlPorts, open: IoctlHandle, number: number, request: Buffer, events: IoctlEvents): Promise<void> {
  const { status, body } = await snapshotIoctl((ask) => ports.askSnapshot(ask), open, number, request);
  if (typeof body === 'string') events.refused(status, body);
  else events.done(body);
}

function aboutMirror({ volume, backend }: IoctlHandle, number: number, body: Buffer, events: IoctlEvents): void {
  const { intents } = backend;
  if (intents === undefined) events.refused(STATUS.UNSUPPORTED, `Volume ${volume.name} is no replica of a mirror`);
  else events.done(mirrorIoctl(intents, number, body));
}

function sums(open: IoctlHandle, body: Buffer, events: IoctlEvents): void {
  const { volume, backend, sizeBytes } = open;
  if (volume.replica === undefined && volume.snapshotOf === undefined)
    return events.refused(STATUS.UNSUPPORTED, `Volume ${volume.name} is neither a replica of a mirror nor a snapshot`);
  const request = MirrorSumsRequest.decode(body, 0, body.length);
  if ((request.lba + request.sectors) * SECTOR_BYTES > sizeBytes) return refuse(events, STATUS.PAST_END);
  if (open.sumsUnderWay >= SUMS_PER_HANDLE_MAX)
    return events.refused(
      STATUS.OUT_OF_MEMORY,
      `Volume ${volume.name} has ${SUMS_PER_HANDLE_MAX} requests for sums under way: ask again later`,
    );
  open.sumsUnderWay++;
  open.inFlight.begin();
  mirrorSums(backend, request, (status, answer) => {
    if (status === STATUS.OK) events.done(answer);
    else refuse(events, events.outcome(status));
    open.sumsUnderWay = counted(open.sumsUnderWay - 1, 'checksums in progress');
    open.inFlight.end();
  });
}

function refuse(events: IoctlEvents, status: Status): void {
  events.refused(status, statusEntry(status).sentence);
}

function identify({ volume, backend, readonly, sizeBytes }: IoctlHandle): Buffer {
  const { canDiscard, canExtents } = backend.capabilities;
  return IdentifyAnswer.encode({
    name: volume.name,
    id: volume.id,
    type: volume.type,
    sizeBytes,
    blockSizeBytes: volume.blockSizeBytes,
    readonly,
    canDiscard,
    canExtents,
  });
}

function extents(open: IoctlHandle, body: Buffer, events: IoctlEvents): void {
  const { backend, sizeBytes } = open;
  const request = ExtentsRequest.decode(body, 0, body.length);
  const positionBytes = request.lba * SECTOR_BYTES;
  if (request.sectors === 0 || positionBytes + request.sectors * SECTOR_BYTES > sizeBytes) {
    refuse(events, STATUS.PAST_END);
    return;
  }
  open.inFlight.begin();
  const ended: ExtentsDone = (status, pairs) => {
    if (status === STATUS.OK) events.done(ExtentsAnswer.encode({ extents: pairs.slice(0, 2 * EXTENTS_PER_ANSWER_MAX) }));
    else refuse(events, events.outcome(status));
    open.inFlight.end();
  };
  try {
    backend.extents(positionBytes, request.sectors * SECTOR_BYTES, ended);
  } catch (error) {
    // Count the request as ended even after an error; otherwise, closing the handle would wait for the request forever.
    open.inFlight.end();
    throw error;
  }
}

// Answers the IOCTLs about the intent map of a mirror's replica.
// Invariant: only the handle of a replica has an intent map.
function isMirrorIoctl(number: number): boolean {
  return number === IOCTL.MIRROR_MAP || number === IOCTL.MIRROR_CLEAR;
}

/** Returns the body of the answer, or null if the answer has no body. Throws E_PROTOCOL if the request is not well formed. */
function mirrorIoctl(intents: IntentView, number: number, body: Buffer): Buffer | null {
  if (number === IOCTL.MIRROR_CLEAR) {
    intents.clear(MirrorClearRequest.decode(body, 0, body.length).ranges);
    return null;
  }
  const { first } = MirrorMapRequest.decode(body, 0, body.length);
  return MirrorMapAnswer.encode({ regions: intents.regions, first, bits: intents.read(first, MIRROR_MAP_PART_MAX_BYTES) });
}
