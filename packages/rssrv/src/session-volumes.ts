// A session's open volumes, and its message requests: LIST, OPEN, CLOSE, IOCTL. Who may have a volume is the listener's word (a port);
// here a handle is given to it. Invariants: a handle number is used once per session; a handle that is closing starts nothing; CLOSE is
// answered when its backend is closed; a hold is released when no handle of its volume is open and none is being opened; the size of a
// handle only grows.

import { toRsError } from '@rsio/protocol/lib/errors';
import { EXTENTS_PER_ANSWER_MAX, HANDLES_PER_SESSION_MAX, SECTOR_BYTES } from '@rsio/protocol/limits';
import { OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import {
  decodeExtentsRequest,
  decodeOpenRequest,
  encodeExtentsAnswer,
  encodeFailureAnswer,
  encodeIdentifyAnswer,
  encodeListAnswers,
  encodeOpenAnswer,
} from '@rsio/protocol/wire/message-codec';
import { type Holder, IOCTL, type ListAnswer, type OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { Backend } from './backends/backend.ts';
import type { OpenVolume } from './request.ts';
import type { GrownVolume, ServedVolume } from './served-volume.ts';

/** The listener's answer to a wish to open a volume. */
export type Grant =
  | { readonly granted: true; readonly volume: ServedVolume; readonly readonly: boolean; readonly identity: string; readonly life: string }
  | { readonly granted: false; readonly status: Status; readonly sentence: string; readonly holders: readonly Holder[] };

export interface VolumePorts {
  list(): Promise<ListAnswer>;
  grant(request: OpenRequest): Promise<Grant>;
  /** The client has closed the volume: its hold ends. (A hold outlives its session: only CLOSE, a new instance or a take-over ends it.) */
  release(volumeId: string): Promise<void>;
  openBackend(volume: ServedVolume): Promise<Backend>;
}

export type Answered = (status: Status, bodies: readonly Buffer[], aux: number) => void;

const HANDLE_MAX = 0xffff;

export class SessionVolumes {
  private readonly ports: VolumePorts;
  private readonly open = new Map<number, OpenVolume>();
  private nextHandle = 1;
  /** OPENs under way. */
  private readonly opening = new Set<OpenRequest>();
  /** Volumes whose hold would have been released, had not an OPEN been under way. */
  private readonly unreleased = new Set<ServedVolume>();
  /** Sizes by volume id of what has grown since the OPENs under way began: they may have been granted before. */
  private readonly grownMeanwhile = new Map<string, number>();

  constructor(ports: VolumePorts) {
    this.ports = ports;
  }

  get(handle: number): OpenVolume | undefined {
    return this.open.get(handle);
  }

  /** Volumes have become larger: what is open, and what is just being opened, has the new size from now on. */
  grow(grown: readonly GrownVolume[]): void {
    for (const { id, sizeBytes } of grown) {
      if (this.opening.size > 0) this.grownMeanwhile.set(id, sizeBytes);
      for (const open of this.open.values()) if (open.volume.id === id) open.sizeBytes = Math.max(open.sizeBytes, sizeBytes);
    }
  }

  /** Answers a message request, now or later, exactly once. `isExecuting`: whether other requests of a handle are. */
  answer(header: Header, body: Buffer, isExecuting: (handle: number) => boolean, answered: Answered): void {
    this.run(header, body, isExecuting, answered).catch((thrown: unknown) => {
      const error = toRsError(thrown);
      const status =
        error.code === 'E_PROTOCOL' ? STATUS.BAD_REQUEST : error.code === 'E_VOLUME' ? STATUS.VOLUME_UNAVAILABLE : STATUS.IO_ERROR;
      answered(status, [encodeFailureAnswer({ sentence: error.message, holders: [] })], 0);
    });
  }

  /** Flushes and closes everything; errors of a flush were said by the backend. */
  async closeAll(): Promise<void> {
    for (const open of [...this.open.values()]) await this.close(open);
  }

  private async closeForClient(open: OpenVolume): Promise<Status> {
    const status = await this.close(open);
    await this.releaseUnlessOpen(open.volume);
    return status;
  }

  /** The hold ends with the last handle of its volume; an OPEN under way may have been granted on it already. */
  private async releaseUnlessOpen(released: ServedVolume): Promise<void> {
    if ([...this.open.values()].some(({ volume }) => volume.id === released.id)) return;
    if ([...this.opening].some((request) => isFor(request, released))) this.unreleased.add(released);
    else await this.ports.release(released.id);
  }

  /** An OPEN has ended: what waited for it is released, unless it gave a handle. */
  private async releaseLeft(request: OpenRequest): Promise<void> {
    for (const volume of [...this.unreleased]) {
      if (!isFor(request, volume)) continue;
      this.unreleased.delete(volume);
      await this.releaseUnlessOpen(volume);
    }
  }

  private async run(header: Header, body: Buffer, isExecuting: (handle: number) => boolean, answered: Answered): Promise<void> {
    const isBodiless = header.op === OP.LIST || header.op === OP.CLOSE;
    if (header.flags !== 0 || (isBodiless && body.length > 0)) {
      refuse(answered, STATUS.BAD_REQUEST);
      return;
    }
    switch (header.op) {
      case OP.LIST:
        answered(STATUS.OK, encodeListAnswers(await this.ports.list()), 0);
        return;
      case OP.OPEN:
        await this.openWithinLimits(decodeOpenRequest(body, 0, body.length), answered);
        return;
      case OP.CLOSE: {
        const open = this.open.get(header.handle);
        if (open === undefined) refuse(answered, STATUS.STALE);
        else if (isExecuting(header.handle))
          refuse(answered, STATUS.BAD_REQUEST, 'Requests of this handle are still executing: close it when they are answered');
        else answered(await this.closeForClient(open), [], 0);
        return;
      }
      default:
        this.ioctl(header, body, answered);
    }
  }

  /** OPENs under way count too: each may become a handle. */
  private async openWithinLimits(request: OpenRequest, answered: Answered): Promise<void> {
    const { opening } = this;
    if (this.open.size + opening.size >= HANDLES_PER_SESSION_MAX || this.nextHandle + opening.size > HANDLE_MAX) {
      refuse(answered, STATUS.TOO_MANY_HANDLES);
      return;
    }
    opening.add(request);
    let answer: () => void;
    try {
      answer = await this.openFor(request, answered);
    } finally {
      opening.delete(request);
      if (opening.size === 0) this.grownMeanwhile.clear();
      await this.releaseLeft(request);
    }
    answer();
  }

  /** Gives what says the answer. */
  private async openFor(request: OpenRequest, answered: Answered): Promise<() => void> {
    const grant = await this.ports.grant(request);
    if (!grant.granted) {
      const body = encodeFailureAnswer({ sentence: grant.sentence, holders: grant.holders });
      return () => answered(grant.status, [body], 0);
    }
    const { volume } = grant;
    let backend: Backend;
    try {
      backend = await this.ports.openBackend(volume);
    } catch (error) {
      this.unreleased.add(volume);
      throw error;
    }
    const readonly = grant.readonly || backend.capabilities.readonly;
    const open: OpenVolume = {
      handle: this.nextHandle++,
      volume,
      backend,
      readonly,
      writeThrough: volume.shared && !readonly,
      sizeBytes: Math.max(backend.sizeBytes, this.grownMeanwhile.get(volume.id) ?? 0),
      closing: false,
    };
    this.open.set(open.handle, open);
    const body = encodeOpenAnswer({
      handle: open.handle,
      id: volume.id,
      sizeBytes: open.sizeBytes,
      blockSizeBytes: volume.blockSizeBytes,
      readonly,
      shared: volume.shared,
      canDiscard: backend.capabilities.canDiscard,
      identity: grant.identity,
      life: grant.life,
    });
    return () => answered(STATUS.OK, [body], 0);
  }

  private async close(open: OpenVolume): Promise<Status> {
    if (open.closing) return STATUS.STALE;
    open.closing = true;
    const status = open.readonly ? STATUS.OK : await new Promise<Status>((resolve) => open.backend.flush(resolve));
    await open.backend.close();
    this.open.delete(open.handle);
    return status;
  }

  private ioctl(header: Header, body: Buffer, answered: Answered): void {
    const open = this.open.get(header.handle);
    if (open === undefined || open.closing) refuse(answered, STATUS.STALE);
    else if (header.aux === IOCTL.IDENTIFY) answered(STATUS.OK, [identify(open)], header.aux);
    else if (header.aux === IOCTL.EXTENTS) extents(open, body, answered);
    else refuse(answered, STATUS.UNSUPPORTED, `There is no IOCTL ${header.aux}`);
  }
}

function isFor({ name, universe }: OpenRequest, volume: ServedVolume): boolean {
  return volume.name === name && volume.universe === universe;
}

function refuse(answered: Answered, status: Status, sentence = statusEntry(status).sentence): void {
  answered(status, [encodeFailureAnswer({ sentence, holders: [] })], 0);
}

function identify({ volume, backend, readonly, sizeBytes }: OpenVolume): Buffer {
  const { canDiscard, canExtents } = backend.capabilities;
  return encodeIdentifyAnswer({
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

function extents({ backend, sizeBytes }: OpenVolume, body: Buffer, answered: Answered): void {
  const request = decodeExtentsRequest(body, 0, body.length);
  const positionBytes = request.lba * SECTOR_BYTES;
  if (request.sectors === 0 || positionBytes + request.sectors * SECTOR_BYTES > sizeBytes) {
    refuse(answered, STATUS.PAST_END);
    return;
  }
  backend.extents(positionBytes, request.sectors * SECTOR_BYTES, (status, pairs) => {
    if (status === STATUS.OK)
      answered(status, [encodeExtentsAnswer({ extents: pairs.slice(0, 2 * EXTENTS_PER_ANSWER_MAX) })], IOCTL.EXTENTS);
    else refuse(answered, status);
  });
}
