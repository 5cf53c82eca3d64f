// The checksum of a JSON object in a file. A sealed text begins with the CRC-32 of all that follows, up to the last brace:
//   {"crc32":"0123abcd","version":1, ...}
// A program that knows no checksum ignores this field, and writes texts without it. Pure. Invariant: a damaged text is never content: neither
// a sealed text in which bytes differ, nor the beginning of one, nor a sealed text whose checksum is no longer recognized.

import { crc32 } from 'node:zlib';
import { isRecord } from '../lib/shape.ts';

/** `damage`: why the text is no content, as the end of a sentence. */
export type ReadText = { readonly value: unknown } | { readonly damage: string };

const DIGITS = 8;
const HEAD = /^\s*\{\s*"crc32"\s*:\s*"([0-9a-f]{8})",/;
/** What the texts of programs that know no checksum begin with. */
const UNSEALED = /^\s*\{\s*"(?:version|stamp)"\s*:/;

/** Returns the beginning of a sealed text. `pieces`: its other bytes, which are the fields of the object and its last brace. */
export function sealOf(pieces: readonly (Uint8Array | string)[]): string {
  const sum = pieces.reduce((before: number, piece) => crc32(piece, before), 0);
  return `{"crc32":"${sum.toString(16).padStart(DIGITS, '0')}",`;
}

/** Seals the text of a JSON object with at least one field. White space behind the object stays there. */
export function sealed(text: string): string {
  const fields = text.slice(1);
  return `${sealOf([fields.trimEnd()])}${fields}`;
}

export function readSealed(text: string): ReadText {
  if (text.trim() === '') return { damage: 'it is empty' };
  // A crash of the machine can leave a file with its size, but without its content.
  if (/^\0+$/.test(text)) return { damage: 'it has only zeros' };
  const [head = '', sum] = HEAD.exec(text) ?? [];
  if (sum !== undefined && crc32(text.slice(head.length).trimEnd()) !== Number.parseInt(sum, 16))
    return { damage: 'its checksum is wrong' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { damage: 'it is not JSON' };
  }
  if (sum === undefined && isRecord(value) && !UNSEALED.test(text))
    return { damage: 'it begins neither with its checksum nor with its version' };
  return { value };
}
