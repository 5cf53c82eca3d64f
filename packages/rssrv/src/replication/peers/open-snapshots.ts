// The snapshots that this server may hold at its peers. A hold outlives the process that opened the snapshot, and the peer cannot remove a
// snapshot that is held, so that a later process must close what an earlier one has left. Invariant: a snapshot is in the file before it is
// opened, until the peer has confirmed that it is closed.

import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { filledText, list, object, type Of, whole } from '@rsio/base/lib/shape';
import { OPEN_SNAPSHOTS_MAX } from '../limits.ts';

/** `name`: as in NAME@SNAPSHOT. */
const OPEN = object({ peer: filledText(), name: filledText(), universe: whole(0, 3) });
export type OpenSnapshot = Of<typeof OPEN>;

const CONTENT = object({ open: list(OPEN) });
type Content = Of<typeof CONTENT>;

const FORM: StateForm<Content> = {
  version: 1,
  shape: CONTENT,
  remedy: 'remove it, and run rsadm client release for this server at its peers if a snapshot there stays in use',
};

export class OpenSnapshots {
  private readonly file: StateFile<Content>;
  private open: OpenSnapshot[] = [];
  private loading: Promise<void> | null = null;

  constructor(path: string) {
    this.file = new StateFile(path, FORM, () => ({ open: this.open }));
  }

  /** Resolves when the snapshot is in the file. Beyond OPEN_SNAPSHOTS_MAX, the oldest one is forgotten. */
  async add(one: OpenSnapshot): Promise<void> {
    await this.loaded();
    if (this.open.some((other) => isSameSnapshot(other, one))) return;
    this.open = [...this.open, one].slice(-OPEN_SNAPSHOTS_MAX);
    await this.file.save();
  }

  async remove(one: OpenSnapshot): Promise<void> {
    await this.loaded();
    this.open = this.open.filter((other) => !isSameSnapshot(other, one));
    await this.file.save();
  }

  async of(peer: string): Promise<readonly OpenSnapshot[]> {
    await this.loaded();
    return this.open.filter((one) => one.peer === peer);
  }

  private loaded(): Promise<void> {
    this.loading ??= this.file.load().then((content) => {
      this.open = [...(content?.open ?? [])];
    });
    return this.loading;
  }
}

export function isSameSnapshot(one: OpenSnapshot, other: OpenSnapshot): boolean {
  return one.peer === other.peer && one.name === other.name && one.universe === other.universe;
}
