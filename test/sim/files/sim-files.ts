// A simulated file system: folders, small files of text, and files with data (sim-data.ts). A journal records the changes of folders, sizes
// and clones in their order. A sync of a file or folder makes its last change durable, and with it all earlier changes of the file system.
// A crash of the machine undoes a random number of the latest changes that are not durable. The crash may also lose unsynced text, in part
// or completely.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimStorage } from '../storage/sim-storage.ts';
import { SimData, SimPlaces } from './sim-data.ts';

export class SimNode {
  readonly number: number;
  /** Null for a file. */
  readonly entries: Map<string, SimNode> | null;
  /** Null: the file has no data yet. */
  data: SimData | null = null;
  sizeBytes = 0;
  text = '';
  syncedText = '';

  constructor(number: number, isFolder: boolean) {
    this.number = number;
    this.entries = isFolder ? new Map() : null;
  }
}

interface Change {
  readonly touched: readonly SimNode[];
  readonly undo: () => void;
  /** Called when the change is durable. */
  readonly stays?: () => void;
}

export class SimFiles {
  readonly root = new SimNode(1, true);
  private readonly places = new SimPlaces();
  private readonly newStorage: () => SimStorage;
  private journal: Change[] = [];
  private numbers = 1;

  constructor(newStorage: () => SimStorage) {
    this.newStorage = newStorage;
  }

  /** Throws ENOENT. */
  find(path: readonly string[]): SimNode {
    let node: SimNode = this.root;
    for (const name of path) {
      const next = node.entries?.get(name);
      if (next === undefined) throw errno('ENOENT', path);
      node = next;
    }
    return node;
  }

  has(path: readonly string[]): boolean {
    try {
      return this.find(path) !== null;
    } catch {
      return false;
    }
  }

  /** Throws EEXIST or ENOENT. */
  make(path: readonly string[], isFolder: boolean): SimNode {
    const folder = this.folderOf(path);
    const name = path.at(-1)!;
    if (folder.entries!.has(name)) throw errno('EEXIST', path);
    const node = new SimNode(++this.numbers, isFolder);
    this.put(folder, name, node);
    return node;
  }

  link(from: readonly string[], to: readonly string[]): void {
    const node = this.find(from);
    const folder = this.folderOf(to);
    if (folder.entries!.has(to.at(-1)!)) throw errno('EEXIST', to);
    this.put(folder, to.at(-1)!, node);
  }

  rename(from: readonly string[], to: readonly string[]): void {
    const node = this.find(from);
    const [before, after] = [this.folderOf(from), this.folderOf(to)];
    const [was, now] = [from.at(-1)!, to.at(-1)!];
    const replaced = after.entries!.get(now);
    if (replaced?.entries?.size) throw errno('ENOTEMPTY', to);
    before.entries!.delete(was);
    after.entries!.set(now, node);
    this.note({
      touched: [before, after, node],
      undo: () => {
        if (replaced === undefined) after.entries!.delete(now);
        else after.entries!.set(now, replaced);
        before.entries!.set(was, node);
      },
      stays: () => this.gone(replaced),
    });
  }

  /** Removes the node with its content. */
  remove(path: readonly string[]): void {
    const node = this.find(path);
    for (const name of [...(node.entries?.keys() ?? [])]) this.remove([...path, name]);
    const folder = this.folderOf(path);
    const name = path.at(-1)!;
    folder.entries!.delete(name);
    this.note({ touched: [folder], undo: () => void folder.entries!.set(name, node), stays: () => this.gone(node) });
  }

  resize(node: SimNode, sizeBytes: number): void {
    const was = node.sizeBytes;
    this.dataOf(node);
    node.sizeBytes = sizeBytes;
    this.note({ touched: [node], undo: () => void (node.sizeBytes = was) });
  }

  clone(from: SimNode, to: SimNode, first: number, count: number): void {
    const data = this.dataOf(to);
    data.take(this.dataOf(from), first, count);
    this.note({ touched: [to], undo: () => data.empty() });
  }

  dataOf(node: SimNode): SimData {
    node.data ??= new SimData(this.newStorage(), this.places);
    return node.data;
  }

  /** Makes the changes of the node durable, except the data of a file: the storage of the file writes back this data. */
  sync(node: SimNode): void {
    node.syncedText = node.text;
    const last = this.journal.findLastIndex(({ touched }) => touched.includes(node));
    this.keep(last + 1);
  }

  crashed(random: SeededRandom): void {
    this.keep(random.int(0, this.journal.length));
    for (const { undo } of this.journal.splice(0).reverse()) undo();
    for (const { storage } of this.places.users) storage.crashed();
    this.loseText(this.root, random);
  }

  private loseText({ entries }: SimNode, random: SeededRandom): void {
    for (const node of entries?.values() ?? []) {
      this.loseText(node, random);
      if (node.text === node.syncedText) continue;
      const kept = random.pick([0, 0.5, 1]);
      node.text = kept === 1 ? node.text : node.text.slice(0, node.text.length * kept);
      node.syncedText = node.text;
    }
  }

  private keep(count: number): void {
    for (const { stays } of this.journal.splice(0, count)) stays?.();
  }

  private put(folder: SimNode, name: string, node: SimNode): void {
    folder.entries!.set(name, node);
    this.note({ touched: [folder, node], undo: () => void folder.entries!.delete(name) });
  }

  private note(change: Change): void {
    this.journal.push(change);
  }

  private gone(node: SimNode | undefined): void {
    const data = node?.data ?? null;
    if (data !== null) this.places.users.delete(data);
  }

  private folderOf(path: readonly string[]): SimNode {
    const folder = this.find(path.slice(0, -1));
    if (folder.entries === null) throw errno('ENOTDIR', path);
    return folder;
  }
}

export function errno(code: string, path: readonly string[]): Error {
  return Object.assign(new Error(`${code}: ${path.join('/')}`), { code });
}
