// The namespace ids of the volumes of each gate, kept in a file. Invariants: a volume keeps its id at a gate for as long as the file exists,
// also over restarts and while it is detached, so that an id never means another volume to a host that comes back; an id is on disk before
// a host can see it.

import { StateFile, type StateForm } from '@rsio/common/files/state-file';
import { RsError } from '@rsio/common/lib/errors';
import { integer, list, object, type Of, text } from '@rsio/common/lib/shape';
import { GATE_VOLUMES_MAX } from './limits.ts';

const CONTENT = object({
  gates: list(object({ gate: text(), volumes: list(object({ id: text(), nsid: integer() })) })),
});
type Content = Of<typeof CONTENT>;

const FORM: StateForm<Content> = { version: 1, shape: CONTENT, remedy: 'remove it: then hosts must connect again to all gates' };

export class NamespaceNumbers {
  private readonly file: StateFile<Content>;
  /** For each gate: the numbers by the id of the volume. */
  private readonly gates = new Map<string, Map<string, number>>();
  /** Settles when all numbers that were given so far are on disk. */
  private saved: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.file = new StateFile(path, FORM, () => this.content());
  }

  /** Throws E_SYSTEM and E_CONFIG if the file cannot be used. */
  async load(): Promise<void> {
    const content = await this.file.load();
    for (const { gate, volumes } of content?.gates ?? []) this.gates.set(gate, new Map(volumes.map(({ id, nsid }) => [id, nsid])));
  }

  /**
   * Resolves with the number of a volume when it is on disk. `isInUse` says which volumes a host may use now; the number of another one is
   * used again if all numbers are taken. Throws E_LIMIT if all are in use, and E_SYSTEM.
   */
  async numberOf(gate: string, id: string, isInUse: (id: string) => boolean): Promise<number> {
    const known = this.gates.get(gate) ?? new Map<string, number>();
    this.gates.set(gate, known);
    const kept = known.get(id);
    if (kept !== undefined) {
      await this.saved;
      return kept;
    }
    const nsid = freeNumber(known) ?? takeUnused(known, isInUse);
    if (nsid === null) throw new RsError('E_LIMIT', `Gate ${gate} has ${GATE_VOLUMES_MAX} volumes, which is the limit: detach one of them`);
    known.set(id, nsid);
    this.saved = this.file.save();
    try {
      await this.saved;
    } catch (thrown) {
      if (known.get(id) === nsid) known.delete(id);
      this.saved = Promise.resolve();
      throw thrown;
    }
    return nsid;
  }

  /** Forgets the gates that `isWanted` rejects. */
  async keep(isWanted: (gate: string) => boolean): Promise<void> {
    const gone = [...this.gates.keys()].filter((gate) => !isWanted(gate));
    for (const gate of gone) this.gates.delete(gate);
    if (gone.length > 0) await this.file.save();
  }

  private content(): Content {
    return {
      gates: [...this.gates].map(([gate, known]) => ({ gate, volumes: [...known].map(([id, nsid]) => ({ id, nsid })) })),
    };
  }
}

/** The lowest number that no volume has; null if there is none. */
function freeNumber(known: ReadonlyMap<string, number>): number | null {
  const taken = new Set(known.values());
  for (let nsid = 1; nsid <= GATE_VOLUMES_MAX; nsid++) if (!taken.has(nsid)) return nsid;
  return null;
}

/** Takes the number of the volume that got its number first among those that no host can use. */
function takeUnused(known: Map<string, number>, isInUse: (id: string) => boolean): number | null {
  for (const [id, nsid] of known)
    if (!isInUse(id)) {
      known.delete(id);
      return nsid;
    }
  return null;
}
