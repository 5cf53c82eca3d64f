// Converts the content of a state file to the bytes of its JSON, and checks it. If the form says so, the content has maps of entries that are
// never changed in place. Such an entry is frozen when it was checked once, and is neither checked nor converted again. A save then costs
// work only for what has changed, because joining bytes costs far less than joining or converting text. Invariants: the bytes are those of
// JSON.stringify. Content that does not have the shape has no bytes.

import { escapeControls } from '../lib/printable.ts';
import { type Fields, isRecord, misfit, type Shape } from '../lib/shape.ts';

/** `misfit`: how the content differs from the shape. */
export type StateTextResult = { readonly bytes: Buffer } | { readonly misfit: string };

/** An entry that has the form of its map, and its JSON with its key. */
interface Written {
  readonly entry: unknown;
  readonly bytes: Buffer;
}

const [COMMA, OPEN, CLOSE] = [',', '{', '}'].map((one) => Buffer.from(one)) as [Buffer, Buffer, Buffer];

export class StateText {
  private readonly shape: Shape;
  private readonly maps: ReadonlyMap<string, EntryMap>;

  constructor(shape: Shape, areEntriesFixed: boolean) {
    this.shape = shape;
    this.maps = new Map(areEntriesFixed && shape.form.kind === 'object' ? mapsIn(shape.form.fields) : []);
  }

  of(content: unknown): StateTextResult {
    if (this.maps.size === 0 || !isRecord(content)) {
      const found = misfit(this.shape, content, 'stored');
      return found === null ? { bytes: Buffer.from(JSON.stringify(content)) } : { misfit: found };
    }
    const parts: Buffer[] = [];
    const others = { ...content };
    for (const [name, value] of Object.entries(content)) {
      const map = isRecord(value) ? this.maps.get(name) : undefined;
      const bytes = map === undefined ? plainBytes(value) : map.of(value as Readonly<Record<string, unknown>>, name);
      if (bytes !== null && 'misfit' in bytes) return bytes;
      // The whole map was checked.
      if (map !== undefined) others[name] = {};
      if (bytes !== null) parts.push(Buffer.concat([Buffer.from(`${JSON.stringify(name)}:`), bytes]));
    }
    const found = misfit(this.shape, others, 'stored');
    return found === null ? { bytes: inBraces(parts) } : { misfit: found };
  }
}

class EntryMap {
  private readonly shape: Shape;
  /** A further check of the whole map, such as one of its keys. */
  private readonly check: (value: never) => string | null;
  private readonly written = new Map<string, Written>();

  constructor(shape: Shape, check: (value: never) => string | null) {
    this.shape = shape;
    this.check = check;
  }

  /** Returns the JSON of the map, or how it differs from its shape. */
  of(entries: Readonly<Record<string, unknown>>, name: string): Buffer | { readonly misfit: string } {
    const keys = Object.keys(entries);
    const parts: Buffer[] = [];
    for (const key of keys) {
      const entry = entries[key];
      let one = this.written.get(key);
      if (one === undefined || one.entry !== entry) {
        const found = misfit(this.shape, entry, 'stored', `${name}.${escapeControls(key)}`);
        if (found !== null) return { misfit: found };
        freeze(entry);
        one = { entry, bytes: Buffer.from(`${JSON.stringify(key)}:${JSON.stringify(entry)}`) };
        this.written.set(key, one);
      }
      parts.push(one.bytes);
    }
    if (this.written.size > keys.length) for (const key of this.written.keys()) if (!Object.hasOwn(entries, key)) this.written.delete(key);
    const said = this.check(entries as never);
    return said === null ? inBraces(parts) : { misfit: `${name} ${said}` };
  }
}

/** JSON has no fields that are undefined. */
function plainBytes(value: unknown): Buffer | null {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? null : Buffer.from(text);
}

function inBraces(parts: readonly Buffer[]): Buffer {
  const all = [OPEN];
  for (const [index, part] of parts.entries()) {
    if (index > 0) all.push(COMMA);
    all.push(part);
  }
  all.push(CLOSE);
  return Buffer.concat(all);
}

function mapsIn(fields: Fields): (readonly [string, EntryMap])[] {
  return Object.entries(fields).flatMap(([name, { form }]) => {
    if (form.kind === 'map') return [[name, new EntryMap(form.of, () => null)] as const];
    if (form.kind !== 'checked' || form.of.form.kind !== 'map') return [];
    return [[name, new EntryMap(form.of.form.of, form.check)] as const];
  });
}

/** Freezes a value and all that is in it, so that a change in place throws and cannot be missing in the file. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const one of Object.values(value)) freeze(one);
  Object.freeze(value);
}
