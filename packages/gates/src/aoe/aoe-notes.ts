// The slots of the volumes on each shelf, and what hosts have stored about the volumes, kept in a file. Invariants: a slot that the gate has
// given never means another volume for as long as the file exists, so that a host never reads another volume than before; a slot is on disk
// before a host can see it.

import { AOE_SHELF_MAX, AOE_SLOT_MAX } from '@rsio/common/config/schema/limits';
import { isMac } from '@rsio/common/config/schema/value-types';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { RsError } from '@rsio/base/lib/errors';
import { atMost, checked, list, object, type Of, text, textThat, whole } from '@rsio/base/lib/shape';
import { AOE_CONFIG_MAX_BYTES, AOE_MACS_MAX, AOE_SHELVES_MAX } from '../limits.ts';
import type { Notes } from './aoe-target.ts';
import { macOf, macText } from './wire.ts';

const MACS = atMost(AOE_MACS_MAX, list(textThat((mac) => isMac(mac) || /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac), 'a MAC address')));
const isConfig = (hex: string): boolean => /^(?:[0-9a-f]{2})*$/.test(hex) && hex.length <= 2 * AOE_CONFIG_MAX_BYTES;
const VOLUME = object({
  id: text(),
  slot: whole(0, AOE_SLOT_MAX),
  config: textThat(isConfig, 'a config string in hexadecimal'),
  masks: MACS,
  reserved: MACS,
});
const VOLUMES = checked(list(VOLUME), (volumes) =>
  new Set(volumes.map(({ id }) => id)).size < volumes.length ? 'a volume is in the list twice' : null,
);
const CONTENT = object({ shelves: atMost(AOE_SHELVES_MAX, list(object({ shelf: whole(0, AOE_SHELF_MAX), volumes: VOLUMES }))) });
type Content = Of<typeof CONTENT>;

const FORM: StateForm<Content> = {
  version: 1,
  shape: CONTENT,
  remedy: 'remove it: then volumes get other slots, and reservations are lost',
};

interface Kept extends Notes {
  readonly slot: number;
}

const NONE: Notes = { config: Buffer.alloc(0), masks: [], reserved: [] };

export class AoeNotes {
  private readonly file: StateFile<Content>;
  /** By shelf, then by the id of the volume. */
  private readonly shelves = new Map<number, Map<string, Kept>>();

  constructor(path: string) {
    this.file = new StateFile(path, FORM, () => this.content());
  }

  /** Throws E_SYSTEM if the file cannot be used. */
  async load(): Promise<void> {
    const content = await this.file.load();
    for (const { shelf, volumes } of content?.shelves ?? [])
      this.shelves.set(
        shelf,
        new Map(
          volumes.map(({ id, slot, config, masks, reserved }) => [
            id,
            { slot, config: Buffer.from(config, 'hex'), masks: masks.map(macOf), reserved: reserved.map(macOf) },
          ]),
        ),
      );
  }

  /**
   * Resolves with the slot and the notes of a volume when they are on disk. `configured`: the slot in the configuration; null: none.
   * `isTaken` says which slots the configuration gives to other volumes. Throws E_LIMIT if no slot is left, and E_SYSTEM.
   */
  async of(shelf: number, id: string, configured: number | null, isTaken: (slot: number) => boolean): Promise<Kept> {
    const volumes = this.shelves.get(shelf) ?? new Map<string, Kept>();
    const before = volumes.get(id);
    if (before === undefined && !this.shelves.has(shelf) && this.shelves.size >= AOE_SHELVES_MAX)
      throw new RsError('E_LIMIT', `${AOE_SHELVES_MAX} shelves have had volumes, which is the limit: use one of them`);
    const slot = configured ?? before?.slot ?? freeSlot(volumes, isTaken);
    if (slot === null)
      throw new RsError(
        'E_LIMIT',
        `shelf ${shelf} has had ${AOE_SLOT_MAX + 1} volumes, which is the limit: make a gate with another shelf`,
      );
    if (before?.slot === slot) return before;
    const kept = { ...NONE, ...before, slot };
    await this.keep(shelf, id, kept);
    return kept;
  }

  /** Resolves when the notes of a volume are on disk. Throws E_SYSTEM if they cannot be saved; the earlier notes then stay valid. */
  async change(shelf: number, id: string, notes: Notes): Promise<void> {
    const before = this.shelves.get(shelf)?.get(id);
    if (before === undefined) throw new RsError('E_INTERNAL', `Volume ${id} has no slot on shelf ${shelf}`);
    await this.keep(shelf, id, { ...before, ...notes });
  }

  private async keep(shelf: number, id: string, kept: Kept): Promise<void> {
    const volumes = this.shelves.get(shelf) ?? new Map<string, Kept>();
    this.shelves.set(shelf, volumes);
    const before = volumes.get(id);
    volumes.set(id, kept);
    try {
      await this.file.save();
    } catch (thrown) {
      if (volumes.get(id) === kept && before !== undefined) volumes.set(id, before);
      else if (volumes.get(id) === kept) volumes.delete(id);
      throw thrown;
    }
  }

  private content(): Content {
    const shelves = [...this.shelves].map(([shelf, volumes]) => ({
      shelf,
      volumes: [...volumes].map(([id, { slot, config, masks, reserved }]) => ({
        id,
        slot,
        config: config.toString('hex'),
        masks: masks.map(macText),
        reserved: reserved.map(macText),
      })),
    }));
    return { shelves };
  }
}

function freeSlot(volumes: ReadonlyMap<string, { readonly slot: number }>, isTaken: (slot: number) => boolean): number | null {
  const used = new Set([...volumes.values()].map(({ slot }) => slot));
  for (let slot = 0; slot <= AOE_SLOT_MAX; slot++) if (!used.has(slot) && !isTaken(slot)) return slot;
  return null;
}
