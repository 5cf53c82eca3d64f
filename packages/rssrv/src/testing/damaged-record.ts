// Stores a text in place of the record of a disk, bypassing all engines, for the engine suite (engine-suite.ts). Invariant: even a text
// that is too long for the header leaves a header that no engine accepts.

import fs from 'node:fs';
import { encodeFrame, KIND, SLOT_BYTES, slotAt } from '../farm/engines/header-format.ts';

/** `path`: a prepared disk or file, to which this machine may write. */
export function damageRecord(path: string, text: string): void {
  const descriptor = fs.openSync(path, 'r+');
  const start = Buffer.alloc(24);
  fs.readSync(descriptor, start, 0, start.length, 0);
  const register = `{"writer":"w","decided":{"by":1,"record":${text}},"base":9,"promised":0,"accepted":0,"value":null}`;
  const place = { disk: start.toString('hex', 8), kind: KIND.register, server: 1 };
  const frame = encodeFrame(place, 8, register, SLOT_BYTES) ?? Buffer.alloc(SLOT_BYTES, 1);
  for (const slot of frame.length === SLOT_BYTES ? [0, 1] : [0]) fs.writeSync(descriptor, frame, 0, frame.length, slotAt(1, slot));
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
}
