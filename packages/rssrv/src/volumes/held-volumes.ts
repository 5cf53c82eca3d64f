// The open volumes of the listener, with an index of their ids, files and cuts, so that a change of one volume among many looks at no other
// volume. Invariants: a set is a value: each change returns a new set, and each earlier set keeps its content. The index names exactly the
// volumes that have an id or a file, or are cut.

import type { RsError } from '@rsio/base/lib/errors';
import { VersionedMap } from '@rsio/base/structures/versioned-map';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { namesOf, type Storage } from './open-storage.ts';

const idUse = (id: string): string => `id ${id}`;
const fileUse = (name: string): string => `file ${name}`;
const CUT_USE = 'cut';

export interface HeldVolume {
  readonly storage: Storage;
  readonly served: ServedVolume;
  /** The error if the volume is not served because its storage was truncated; null if the volume is served. */
  readonly cut: RsError | null;
}

export class HeldVolumes {
  /** Keyed by volumeKey, in the order of the configuration. */
  readonly all: VersionedMap<HeldVolume>;
  /** For each id and each file: the keys of the volumes that have it. Several readonly volumes may have the same file. */
  private readonly users: VersionedMap<readonly string[]>;

  private constructor(all: VersionedMap<HeldVolume>, users: VersionedMap<readonly string[]>) {
    this.all = all;
    this.users = users;
  }

  static of(held: ReadonlyMap<string, HeldVolume>): HeldVolumes {
    const users = new Map<string, readonly string[]>();
    for (const [key, one] of held) for (const use of usesOf(one)) users.set(use, [...(users.get(use) ?? []), key]);
    return new HeldVolumes(VersionedMap.of(held), VersionedMap.of(users));
  }

  get size(): number {
    return this.all.size;
  }

  get(key: string): HeldVolume | undefined {
    return this.all.get(key);
  }

  /** A new volume comes last, and a known volume keeps its place. */
  with(key: string, held: HeldVolume): HeldVolumes {
    const before = usesOf(this.all.get(key));
    const after = usesOf(held);
    const gone = before.filter((use) => !after.includes(use));
    let users = withoutUses(this.users, new Map(gone.map((use) => [use, new Set([key])])));
    for (const use of after) if (!before.includes(use)) users = users.with(use, [...(users.get(use) ?? []), key]);
    return new HeldVolumes(this.all.with(key, held), users);
  }

  without(keys: readonly string[]): HeldVolumes {
    const gone = new Map<string, Set<string>>();
    for (const key of keys) for (const use of usesOf(this.all.get(key))) gone.set(use, (gone.get(use) ?? new Set<string>()).add(key));
    return new HeldVolumes(this.all.without(keys), withoutUses(this.users, gone));
  }

  /** Returns the keys of the volumes with this id: one, because a second volume with the id is not opened. */
  keysWithId(id: string): readonly string[] {
    return this.users.get(idUse(id)) ?? [];
  }

  /** The open volumes that are not served because they are cut, in the order of the configuration. */
  get cut(): readonly HeldVolume[] {
    const keys = this.users.get(CUT_USE) ?? [];
    if (keys.length > 1) return [...this.all.values()].filter((held) => held.cut !== null);
    return keys.flatMap((key) => this.all.get(key) ?? []);
  }

  /** Returns the keys of the volumes that have this file. `name`: see `namesOf`. */
  keysWithFile(name: string): readonly string[] {
    return this.users.get(fileUse(name)) ?? [];
  }
}

/** Returns the id and the files of a volume, each one once, and a mark if it is cut. */
function usesOf(held: HeldVolume | undefined): readonly string[] {
  if (held === undefined) return [];
  return [...new Set([idUse(held.served.id), ...namesOf(held.served).map(fileUse), ...(held.cut === null ? [] : [CUT_USE])])];
}

/** `gone`: for an id or a file, the keys of the volumes that have it no more. */
function withoutUses(
  users: VersionedMap<readonly string[]>,
  gone: ReadonlyMap<string, ReadonlySet<string>>,
): VersionedMap<readonly string[]> {
  const unused: string[] = [];
  let rest = users;
  for (const [use, keys] of gone) {
    const others = (users.get(use) ?? []).filter((key) => !keys.has(key));
    if (others.length === 0) unused.push(use);
    else rest = rest.with(use, others);
  }
  return rest.without(unused);
}
