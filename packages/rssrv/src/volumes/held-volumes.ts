// The open volumes of the listener, with an index of their ids and files and the number of cuts, so that a change of one volume among many looks at no other
// volume. Invariants: a set is a value: each change returns a new set, and each earlier set keeps its content. The index names exactly the
// volumes that have an id or a file.

import type { RsError } from '@rsio/base/lib/errors';
import { VersionedMap } from '@rsio/base/structures/versioned-map';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { namesOf, type Storage } from './open-storage.ts';

const idUse = (id: string): string => `id ${id}`;
const fileUse = (name: string): string => `file ${name}`;

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
  /** Number of cut volumes. A list of them would grow with each cut, and every earlier set would keep its list. */
  readonly cutCount: number;

  private constructor(all: VersionedMap<HeldVolume>, users: VersionedMap<readonly string[]>, cutCount: number) {
    this.all = all;
    this.users = users;
    this.cutCount = cutCount;
  }

  static of(held: ReadonlyMap<string, HeldVolume>): HeldVolumes {
    const users = new Map<string, string[]>();
    let cutCount = 0;
    for (const [key, one] of held) {
      cutCount += cutsOf(one);
      for (const use of usesOf(one)) {
        const keys = users.get(use);
        if (keys === undefined) users.set(use, [key]);
        else keys.push(key);
      }
    }
    return new HeldVolumes(VersionedMap.of(held), VersionedMap.of<readonly string[]>(users), cutCount);
  }

  get size(): number {
    return this.all.size;
  }

  get(key: string): HeldVolume | undefined {
    return this.all.get(key);
  }

  /** A new volume comes last, and a known volume keeps its place. */
  with(key: string, held: HeldVolume): HeldVolumes {
    const known = this.all.get(key);
    const before = usesOf(known);
    const after = usesOf(held);
    const gone = before.filter((use) => !after.includes(use));
    let users = withoutUses(this.users, new Map(gone.map((use) => [use, new Set([key])])));
    for (const use of after) if (!before.includes(use)) users = users.with(use, [...(users.get(use) ?? []), key]);
    return new HeldVolumes(this.all.with(key, held), users, this.cutCount - cutsOf(known) + cutsOf(held));
  }

  without(keys: readonly string[]): HeldVolumes {
    const gone = new Map<string, Set<string>>();
    let { cutCount } = this;
    for (const key of new Set(keys)) {
      cutCount -= cutsOf(this.all.get(key));
      for (const use of usesOf(this.all.get(key))) gone.set(use, (gone.get(use) ?? new Set<string>()).add(key));
    }
    return new HeldVolumes(this.all.without(keys), withoutUses(this.users, gone), cutCount);
  }

  /** Returns the keys of the volumes with this id: one, because a second volume with the id is not opened. */
  keysWithId(id: string): readonly string[] {
    return this.users.get(idUse(id)) ?? [];
  }

  /** The open volumes that are not served because they are cut, in the order of the configuration. */
  get cut(): readonly HeldVolume[] {
    return this.cutCount === 0 ? [] : [...this.all.values()].filter((held) => held.cut !== null);
  }

  /** Returns the keys of the volumes that have this file. `name`: see `namesOf`. */
  keysWithFile(name: string): readonly string[] {
    return this.users.get(fileUse(name)) ?? [];
  }
}

/** Returns the id and the files of a volume, each one once. */
function usesOf(held: HeldVolume | undefined): readonly string[] {
  if (held === undefined) return [];
  return [...new Set([idUse(held.served.id), ...namesOf(held.served).map(fileUse)])];
}

function cutsOf(held: HeldVolume | undefined): number {
  return held === undefined || held.cut === null ? 0 : 1;
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
