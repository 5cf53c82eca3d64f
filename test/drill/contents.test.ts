// Tests the judge of the drill: it accepts contents that are possible after the answers, and names the first sector with an impossible
// content. `npm run drill -- pools` tests the daemons.

import { describe, expect, it } from 'vitest';
import { Contents, SECTOR_BYTES } from './contents.ts';

const SIZE = 4 * SECTOR_BYTES;

function sectors(...values: readonly number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.alloc(SECTOR_BYTES, value)));
}

describe('contents that the drill expects', () => {
  it('has what was answered, also in parts of sectors', () => {
    const contents = Contents.zeros(SIZE);
    contents.wrote(SECTOR_BYTES - 1, Buffer.from([7, 8]));
    const found = sectors(0, 0, 0, 0);
    found.set([7, 8], SECTOR_BYTES - 1);
    expect(contents.differs(found)).toBeNull();
    expect(contents.differs(sectors(0, 0, 0, 0))).toContain('2 sectors differ, the first is 0');
  });

  it('a write without an answer is there or not for each sector, and stays as it was read', () => {
    const contents = Contents.zeros(SIZE);
    contents.mayHave(0, sectors(1, 1, 1));
    const torn = sectors(1, 0, 1, 0);
    expect(contents.copy().differs(sectors(2, 0, 0, 0))).toContain('1 sectors differ, the first is 0');
    expect(contents.differs(torn)).toBeNull();
    expect(contents.differs(sectors(1, 1, 1, 0))).toContain('the first is 1');
  });

  it('a later write counts on top of what may be there', () => {
    const contents = Contents.zeros(SIZE);
    contents.mayHave(0, sectors(1));
    contents.wrote(0, Buffer.from([9]));
    const found = sectors(1, 0, 0, 0);
    found[0] = 9;
    expect(contents.copy().differs(sectors(1, 0, 0, 0))).toContain('1 sectors differ');
    expect(contents.differs(found)).toBeNull();
  });

  it('a discard changes whole sectors only', () => {
    const contents = Contents.zeros(SIZE);
    contents.wrote(0, sectors(5, 5, 5, 5));
    contents.discarded(1, 2 * SECTOR_BYTES);
    expect(contents.copy().differs(sectors(0, 0, 5, 5))).toContain('1 sectors differ, the first is 0');
    expect(contents.differs(sectors(5, 0, 5, 5))).toBeNull();
  });

  it('a snapshot is not changed by later writes', () => {
    const contents = Contents.zeros(SIZE);
    contents.wrote(0, sectors(5));
    contents.discarded(0, SECTOR_BYTES);
    const snapshot = contents.copy();
    contents.wrote(0, sectors(6));
    expect(snapshot.differs(sectors(0, 0, 0, 0))).toBeNull();
  });

  it('what lies beyond a smaller content is zeros', () => {
    const contents = Contents.zeros(SECTOR_BYTES).inSize(2 * SECTOR_BYTES);
    expect(contents.differs(sectors(0, 1))).toContain('the first is 1');
  });
});
