// The gate record of a volume: its two writers (gates and notes) share one object, and nothing is written that could not be read again. A
// record of an earlier release with the long name of a host is read. Rules: D2.

import { expect, it } from 'vitest';
import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { GateRecord, noteIn, recordContent } from '@rsio/rsiod/notes/gate-record';
import type { ReservationState } from '@rsio/rsiod/notes/reservation-state';
import { NO_RESERVATIONS } from './reservation-rules.ts';
import { Reservations } from './reservations.ts';

const NQN = 'nqn.2026-01.org.example:one';

class Port {
  bytes: Buffer | null = null;
  reads = 0;
  /** Reads and writes fail while it is set. */
  trouble: Error | null = null;
  async read(): Promise<Buffer | null> {
    this.reads++;
    if (this.trouble !== null) throw this.trouble;
    return this.bytes;
  }
  async write(bytes: Buffer): Promise<void> {
    if (this.trouble !== null) throw this.trouble;
    this.bytes = bytes;
  }
}

function registered(hostId: string): ReservationState {
  return { ...NO_RESERVATIONS, registrants: [{ hostId, hostNqn: NQN, key: '0'.repeat(15).concat('1') }] };
}

// Regression: a gate that had read the record before wrote it without the note, and rsapp took the application for new.
it('a note that is written while a gate has the record stays', async () => {
  const port = new Port();
  const ofGate = await GateRecord.of(port, 'osl:db@0');
  const ofNotes = await GateRecord.of(port, 'osl:db@0');
  await Promise.all([ofNotes.keepNote('note'), ofGate.keepId(NQN, 7), ofGate.keepActive('big-2'), ofNotes.keepNote('newer')]);
  expect([noteIn(port.bytes, 'osl:db@0'), recordContent(port.bytes, 'osl:db@0').ids, port.reads]).toEqual([
    'newer',
    [{ nqn: NQN, nsid: 7 }],
    1,
  ]);
});

it('a record that could not be read is read again', async () => {
  const port = new Port();
  port.trouble = new Error('no path');
  await expect(GateRecord.of(port, 'osl:db@0')).rejects.toThrow('no path');
  port.trouble = null;
  await (await GateRecord.of(port, 'osl:db@0')).keepNote('note');
  expect(noteIn(port.bytes, 'osl:db@0')).toBe('note');
});

// Regression: the long name of a host was written into the record, which no gate could read afterwards, over restarts.
it('nothing is written that could not be read again, and the host hears that nothing was done', async () => {
  const port = new Port();
  const record = await GateRecord.of(port, 'osl:db@0');
  await record.keepReservations(registered('0'.repeat(32)));
  const { bytes } = port;
  for (const wrong of [registered('no host'), registered(`scsi 1 ${'x'.repeat(GATE_RECORD_MAX_BYTES)}`)])
    await expect(record.keepReservations(wrong)).rejects.toMatchObject({ code: 'E_VOLUME' });
  await expect(record.keepId(NQN, 0)).rejects.toMatchObject({ code: 'E_VOLUME' });
  expect(port.bytes).toBe(bytes);
  const reservations = new Reservations(null, (state) => record.keepReservations(state));
  const outcome = await new Promise((ended) =>
    reservations.execute({
      hostId: 'no host',
      hostNqn: NQN,
      isWanted: () => true,
      ended,
      dropped: () => undefined,
      action: { verb: 'register', key: '1'.padStart(16, '0'), ptpl: null },
    }),
  );
  expect(outcome).toBe('interrupted');
});

it('a record of an earlier release with a long or odd name of a host is read, and can be written', async () => {
  const port = new Port();
  const state = registered(`scsi 1 \n${'x'.repeat(400)},i,0x000000000001`);
  port.bytes = Buffer.from(JSON.stringify({ version: 1, ids: [], active: null, reservations: state }));
  const record = await GateRecord.of(port, 'osl:db@0');
  expect(record.reservations).toEqual(state);
  await record.keepReservations(NO_RESERVATIONS);
  expect(recordContent(port.bytes, 'osl:db@0').reservations).toEqual(NO_RESERVATIONS);
});
