// Makes the syncs of a test quick. The effect of a sync shows only after a power cut, which no unit test can cause. A disk takes
// milliseconds for each sync, and the suite makes tens of thousands of syncs. Invariant: as with Node, a sync ends in a later event-loop
// turn, and fails if the descriptor is not open. Writes to a descriptor with O_DSYNC and the syncs of other processes still wait for the
// disk.

import fs from 'node:fs';
import { open } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers';

const nothing = await open('/dev/null');
const handles = Object.getPrototypeOf(nothing) as { sync: () => Promise<void>; datasync: () => Promise<void> };
await nothing.close();

function quickFsync(descriptor: number, done: fs.NoParamCallback): void {
  let failure: NodeJS.ErrnoException | null = null;
  try {
    fs.fstatSync(descriptor);
  } catch (thrown) {
    failure = thrown as NodeJS.ErrnoException;
  }
  turn(() => done(failure));
}

async function quickSync(this: fs.promises.FileHandle): Promise<void> {
  // If the handle is closed, it has no descriptor, and this call fails as a real sync does.
  if (this.fd < 0) await this.stat();
  await new Promise<void>((resolve, reject) => quickFsync(this.fd, (failure) => (failure === null ? resolve() : reject(failure))));
}

function quickFsyncSync(descriptor: number): void {
  fs.fstatSync(descriptor);
}

/** Replaces the functions that sync a file. Returns a function that restores the replaced functions. */
export function makeSyncsQuick(): () => void {
  const { fsync, fdatasync, fsyncSync, fdatasyncSync } = fs;
  const { sync, datasync } = handles;
  const quick = quickFsync as typeof fsync;
  Object.assign(fs, { fsync: quick, fdatasync: quick, fsyncSync: quickFsyncSync, fdatasyncSync: quickFsyncSync });
  Object.assign(handles, { sync: quickSync, datasync: quickSync });
  return () => {
    Object.assign(fs, { fsync, fdatasync, fsyncSync, fdatasyncSync });
    Object.assign(handles, { sync, datasync });
  };
}
