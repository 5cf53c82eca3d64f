// The record of a volume: its namespace ids at gates, the reservations of hosts, and the note of its holder. The server keeps the record with the
// volume, and only the holder writes it (rule D2). Invariants: an attached volume has one GateRecord, which makes all changes of this process
// and ends with the attachment; what this file returns is durable at the server; after a failed write, the earlier content is valid until a
// write succeeds; every write has the whole content, and nothing is written that could not be read again.

import { RsError } from '@rsio/base/lib/errors';
import { atMost, checked, list, misfit, object, type Of, oneOf, optional, orNull, text, whole } from '@rsio/base/lib/shape';
import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import { GATE_NAMESPACE_ID_MAX, GATE_RECORD_IDS_MAX } from './limits.ts';
import { reservationShape, type ReservationState } from './reservation-state.ts';

/** Reads and writes the record of an attached volume at its server. */
export interface RecordPort {
  read(): Promise<Buffer | null>;
  /** Resolves when the bytes are durable. Throws if they may not be durable. */
  write(bytes: Buffer): Promise<void>;
}

const IDS = checked(atMost(GATE_RECORD_IDS_MAX, list(object({ nqn: text(), nsid: whole(1, GATE_NAMESPACE_ID_MAX) }))), (ids) =>
  new Set(ids.map(({ nqn }) => nqn)).size < ids.length ? 'an NQN is in the list twice' : null,
);
/** `active`: the node of the gate that offers the volume and whose partners may take it over; null if no gate with partners offers it. */
const CONTENT = object({
  version: oneOf(1),
  ids: IDS,
  active: orNull(text()),
  reservations: orNull(reservationShape),
  /** See notes/volume-notes.ts; missing if there is none. */
  note: optional(text()),
});
export type RecordContent = Of<typeof CONTENT>;

const EMPTY: RecordContent = { version: 1, ids: [], active: null, reservations: null };

/** Returns the content of the record of a volume, which is called `label` in errors. Throws E_VOLUME if this rsiod cannot use the record. */
export function recordContent(bytes: Buffer | null, label: string): RecordContent {
  if (bytes === null) return EMPTY;
  let parsed: unknown;
  let why: string | null;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
    why = misfit(CONTENT, parsed);
  } catch {
    why = 'it is not JSON';
  }
  if (why === null) return parsed as RecordContent;
  throw new RsError(
    'E_VOLUME',
    `The gate record of ${label} cannot be used (${why}): update this rsiod if another gate of the volume is newer; a clone of the volume begins without a record`,
  );
}

/** Returns the note in a record, or null if there is none. Throws E_VOLUME. */
export function noteIn(bytes: Buffer | null, label: string): string | null {
  return recordContent(bytes, label).note ?? null;
}

/** The records of attached volumes. A volume that is attached again has another port. */
const RECORDS = new WeakMap<RecordPort, Promise<GateRecord>>();

export class GateRecord {
  private readonly port: RecordPort;
  private readonly label: string;
  private content: RecordContent;
  private turn: Promise<void> = Promise.resolve();

  private constructor(port: RecordPort, label: string, content: RecordContent) {
    this.port = port;
    this.label = label;
    this.content = content;
  }

  /** Returns the record of a volume that is attached here, so that no other client can write it. Reads it if nobody has done that before. */
  static of(port: RecordPort, label: string): Promise<GateRecord> {
    const known = RECORDS.get(port);
    if (known !== undefined) return known;
    const read = port.read().then((bytes) => new GateRecord(port, label, recordContent(bytes, label)));
    RECORDS.set(port, read);
    read.catch(() => RECORDS.delete(port));
    return read;
  }

  get reservations(): ReservationState | null {
    return this.content.reservations;
  }

  /** The namespace id of the volume at the gate with this NQN; null if it has none yet. */
  idAt(nqn: string): number | null {
    return this.content.ids.find((one) => one.nqn === nqn)?.nsid ?? null;
  }

  async keepId(nqn: string, nsid: number): Promise<void> {
    if (this.content.ids.length >= GATE_RECORD_IDS_MAX)
      throw new RsError('E_LIMIT', `the volume has had ids at ${GATE_RECORD_IDS_MAX} gates, which is the limit`);
    await this.change((content) => ({ ...content, ids: [...content.ids.filter((one) => one.nqn !== nqn), { nqn, nsid }] }));
  }

  /** Records the node whose gate, which has partners, offers the volume; null if there is none. */
  async keepActive(active: string | null): Promise<void> {
    await this.change((content) => (content.active === active ? content : { ...content, active }));
  }

  async keepReservations(reservations: ReservationState): Promise<void> {
    await this.change((content) => ({ ...content, reservations }));
  }

  async keepNote(note: string): Promise<void> {
    await this.change((content) => ({ ...content, note }));
  }

  /** Makes changes one after another, so that no change overwrites another. The same content is not written again. */
  private change(made: (content: RecordContent) => RecordContent): Promise<void> {
    const done = this.turn.then(async () => {
      const next = made(this.content);
      if (next === this.content) return;
      const bytes = Buffer.from(JSON.stringify(next));
      const why =
        bytes.length > GATE_RECORD_MAX_BYTES ? `it would have ${bytes.length} bytes, over ${GATE_RECORD_MAX_BYTES}` : misfit(CONTENT, next);
      if (why !== null)
        throw new RsError('E_VOLUME', `The gate record of ${this.label} was not written: ${why}`, { status: STATUS.BAD_REQUEST });
      await this.port.write(bytes);
      this.content = next;
    });
    this.turn = done.catch(() => undefined);
    return done;
  }
}
