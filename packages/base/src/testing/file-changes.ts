// The changes that unit-setup.ts makes to a process for one test file, such as quick syncs. Vitest runs no `afterAll` hook of a file whose
// import fails or whose tests are all skipped, and after a failed hook none of the others. A change that a hook did not end would stay for
// all later files of the process, whose syncs would then sync nothing. Invariant: after `end`, no change is left, even if another copy of
// this module made it: each test file has its own copy.

const CHANGES = Symbol.for('rsio.changes-for-a-test-file');

type Undo = () => void;

export class FileChanges {
  private readonly undos: Undo[];

  /** `process`: the object at which all copies of this module find the changes, `globalThis` outside of tests of this class. */
  constructor(process: object) {
    const place: { [CHANGES]?: Undo[] } = process;
    this.undos = place[CHANGES] ??= [];
  }

  /** Makes a change; `make` returns the function that undoes it. */
  make(make: () => Undo): void {
    this.undos.push(make());
  }

  /** Undoes all changes, the last one first. */
  end(): void {
    for (const undo of this.undos.splice(0).toReversed()) undo();
  }
}
