// Packs MessagePack as far as the protocol uses it. The functions do not check the values, so that a case can send the invalid bodies of a
// wrong peer.

export type Packable = number | string | boolean | null | Uint8Array | readonly Packable[] | { readonly [key: string]: Packable };

/** Converts hex with blanks to bytes. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

export function pack(value: Packable): Buffer {
  if (value === null) return hex('c0');
  if (typeof value === 'boolean') return hex(value ? 'c3' : 'c2');
  if (typeof value === 'number') return packNumber(value);
  if (typeof value === 'string') return Buffer.concat([u16Prefix(0xda, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([u16Prefix(0xc5, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([u16Prefix(0xdc, value.length), ...(value as Packable[]).map(pack)]);
  const entries = Object.entries(value);
  return Buffer.concat([u16Prefix(0xde, entries.length), ...entries.flatMap(([key, one]) => [pack(key), pack(one as Packable)])]);
}

function u16Prefix(type: number, count: number): Buffer {
  const prefix = Buffer.from([type, 0, 0]);
  prefix.writeUInt16BE(count, 1);
  return prefix;
}

function packNumber(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  const isWhole = Number.isInteger(value) && value >= 0;
  bytes[0] = isWhole ? 0xcf : 0xcb;
  if (isWhole) bytes.writeBigUInt64BE(BigInt(value), 1);
  else bytes.writeDoubleBE(value, 1);
  return bytes;
}
