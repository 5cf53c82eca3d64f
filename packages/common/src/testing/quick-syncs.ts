// Makes the syncs of a test file quick: what a sync adds to a write shows only after a power cut, which no unit test can make. A disk takes
// milliseconds for each sync, and the suite makes tens of thousands. Invariant: as before, a sync ends later than its call, and fails if the
// descriptor is not open. Writes to a descriptor with O_DSYNC and the syncs of other processes still wait for the disk.

import fs from 'node:fs';
import { open } from 'node:fs/promises';

const nothing = await open('/dev/null');
const handles = Object.getPrototypeOf(nothing) as { sync: () => Promise<void>; datasync: () => Promise<void> };
await nothing.close();

async function quickSync(this: fs.promises.FileHandle): Promise<void> {
  await this.stat();
}

function quickFsync(descriptor: number, done: fs.NoParamCallback): void {
  fs.fstat(descriptor, (error) => done(error));
}

function quickFsyncSync(descriptor: number): void {
  fs.fstatSync(descriptor);
}

/** Replaces the functions that sync one file. Returns a function that puts them back. */
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
