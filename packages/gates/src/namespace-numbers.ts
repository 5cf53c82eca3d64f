// The namespace ids of the volumes of each gate, kept in a file. The file names each gate by its NQN, as hosts do. Invariants: as long as
// the file exists, an id never means another volume, even after a restart, so that a returning host never writes to the wrong volume; the
// last GATE_NUMBERS_MAX volumes keep their ids even while they are detached; an id is on disk before a host can see it. Each gate of a
// subsystem gives ids from its own range; the volume's gate record has an id that another gate has given.

import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { RsError } from '@rsio/base/lib/errors';
import { checked, list, object, type Of, text, whole } from '@rsio/base/lib/shape';
import { GATE_NAMESPACE_ID_MAX } from '@rsio/rsiod/notes/limits';
import { GATE_NUMBERS_MAX } from './limits.ts';

const VOLUMES = checked(list(object({ id: text(), nsid: whole(1, GATE_NAMESPACE_ID_MAX) })), (volumes) => {
  const isTwice = [volumes.map(({ id }) => id), volumes.map(({ nsid }) => String(nsid))].some((all) => new Set(all).size < all.length);
  return isTwice ? 'a volume or a number is in the list twice' : null;
});
const CONTENT = object({ gates: list(object({ gate: text(), volumes: VOLUMES })) });
type Content = Of<typeof CONTENT>;

const FORM: StateForm<Content> = { version: 1, shape: CONTENT, remedy: 'remove it: then hosts must connect again to all gates' };

export interface NumberWanted {
  readonly member: number;
  /** How many numbers each gate of a target can give. */
  readonly each: number;
  readonly recorded: number | null;
  readonly isInUse: (id: string) => boolean;
  /** True if hosts already see another volume under this number, which another gate offers. */
  readonly isTaken: (nsid: number) => boolean;
}

export class NamespaceNumbers {
  private readonly file: StateFile<Content>;
  /** For each gate: the numbers by the id of the volume. */
  private readonly gates = new Map<string, Map<string, number>>();
  /** True if there was no file at the start, because this is the first start or because the file was lost. */
  isNew = false;
  /** Settles when all numbers that were given so far are on disk. */
  private saved: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.file = new StateFile(path, FORM, () => this.content());
  }

  /** Throws E_SYSTEM and E_CONFIG if the file cannot be used. */
  async load(): Promise<void> {
    const content = await this.file.load();
    this.isNew = content === null;
    for (const { gate, volumes } of content?.gates ?? []) this.gates.set(gate, new Map(volumes.map(({ id, nsid }) => [id, nsid])));
  }

  /** True if the volume has, or had, a number at any gate. */
  knows(id: string): boolean {
    for (const known of this.gates.values()) if (known.has(id)) return true;
    return false;
  }

  /**
   * Resolves with the number of a volume when the number is on disk. The number is `recorded` if another gate has given one (null: none
   * has), else one from the range of gate number `member` of the subsystem. `isInUse` tells which volumes a host may use now; others are
   * forgotten if there are too many. Throws E_LIMIT if no number is left, E_CONFIG if `recorded` is the number of another volume here, and
   * E_SYSTEM.
   */
  async numberOf(gate: string, id: string, { member, each, recorded, isInUse, isTaken }: NumberWanted): Promise<number> {
    const known = this.gates.get(gate) ?? new Map<string, number>();
    this.gates.set(gate, known);
    const kept = known.get(id);
    if (kept !== undefined && (recorded === null || recorded === kept)) {
      await this.saved;
      return kept;
    }
    const last = member * each;
    const highest = highestUpTo(last, each, known);
    let nsid = recorded ?? highest + 1;
    // If another gate has a volume under a number from this gate's range, the file was lost.
    while (recorded === null && isTaken(nsid)) nsid++;
    if (recorded === null && nsid > last)
      throw new RsError('E_LIMIT', `Gate ${gate} has had ${each} volumes, which is the limit: make another gate`);
    const [rival] = [...known].find(([other, number]) => number === nsid && other !== id) ?? [];
    if (rival !== undefined)
      throw new RsError(
        'E_CONFIG',
        `its namespace id ${nsid} is that of volume ${rival} here: give each gate of this name its own number (key member)`,
      );
    forgetUnused(known, highest, isInUse);
    // The volume's earlier number, which hosts have seen, must never mean another volume.
    if (kept !== undefined) known.set(`earlier ${id}`, kept);
    known.set(id, nsid);
    this.saved = this.file.save();
    try {
      await this.saved;
    } catch (thrown) {
      if (known.get(id) === nsid && kept === undefined) known.delete(id);
      else if (known.get(id) === nsid && kept !== undefined) known.set(id, kept);
      this.saved = Promise.resolve();
      throw thrown;
    }
    return nsid;
  }

  private content(): Content {
    return {
      gates: [...this.gates].map(([gate, known]) => ({ gate, volumes: [...known].map(([id, nsid]) => ({ id, nsid })) })),
    };
  }
}

/** Returns the highest number that the gate whose range ends at `last` has given, or the number below that range if it has given none. */
function highestUpTo(last: number, each: number, known: ReadonlyMap<string, number>): number {
  let highest = last - each;
  for (const nsid of known.values()) if (nsid <= last && nsid > highest) highest = nsid;
  return highest;
}

/**
 * While there are GATE_NUMBERS_MAX volumes or more, forgets volumes that no host can use, beginning with the oldest numbers. The highest
 * number of this gate stays, because the next number is one higher.
 */
function forgetUnused(known: Map<string, number>, highest: number, isInUse: (id: string) => boolean): void {
  for (const [id, nsid] of known) {
    if (known.size < GATE_NUMBERS_MAX) return;
    if (nsid !== highest && !isInUse(id)) known.delete(id);
  }
}
