// Tests what the real outputs of blkid and partx lead to: the file system and its options, the partition that is meant, and the reasons why
// nothing is mounted.

import { describe, expect, it } from 'vitest';
import { choosePartition, contentOf, type FoundPartition, mountOptions, partitionsIn, typeOf } from './found-content.ts';

const GOOD = { failure: null };
const EXT4 = 'DEVNAME=srv/image\nUUID=d6c658df-6545-472a-88f9-f0001a576f5c\nVERSION=1.0\nBLOCK_SIZE=1024\nTYPE=ext4\nUSAGE=filesystem\n';
const XFS = 'DEVNAME=xf\nUUID=1e4934c8-a6b7-4c69-a7e6-c9e218fcf9e3\nBLOCK_SIZE=512\nTYPE=xfs\nUSAGE=filesystem\n';
const BTRFS = 'DEVNAME=bt\nUUID=6121fc4e\nUUID_SUB=a8391dd1\nBLOCK_SIZE=4096\nTYPE=btrfs\nUSAGE=filesystem\n';
const GPT = 'DEVNAME=disk\nPTUUID=5d50d943-c940-3c4b-a3be-5aa60a91713e\nPTTYPE=gpt\n';
const DOS = 'DEVNAME=dos\nPTUUID=136264fd\nPTTYPE=dos\n';
const LUKS = 'DEVNAME=lu\nVERSION=2\nTYPE=crypto_LUKS\nUSAGE=crypto\n';
const SWAP = 'DEVNAME=sw\nUUID=1ba9c67d-1b45-4494-a3f9-777b8d40e6de\nVERSION=1\nTYPE=swap\nUSAGE=other\n';
const LVM = 'DEVNAME=lv\nUUID=SWD9fd\nVERSION=LVM2 001\nTYPE=LVM2_member\nUSAGE=raid\n';
const RAID = 'DEVNAME=r\nUUID=49b9\nTYPE=linux_raid_member\nUSAGE=raid\n';
const AMBIVALENT = 'blkid: x: ambivalent result (probably more filesystems on the device, use wipefs(8) to see more details)\n';

describe('contentOf', () => {
  it.each([
    ['ext4', EXT4],
    ['xfs', XFS],
    ['btrfs', BTRFS],
  ])('finds %s', (type, output) => {
    expect(typeOf('db', contentOf('db', { ...GOOD, output }))).toBe(type);
  });

  it.each([
    [GPT, null, 'db has no file system, but a partition table (gpt): name a partition'],
    [DOS, null, 'db has no file system, but a partition table (dos): name a partition'],
    [LUKS, null, 'db has no file system, but crypto_LUKS: attach it with rsconfig -a, and open it with cryptsetup open --readonly'],
    [SWAP, null, 'db has no file system, but swap: swap space has no files'],
    [LVM, null, 'db has no file system, but LVM2_member: attach it with rsconfig -a, and activate it with lvm(8)'],
    [RAID, null, 'but linux_raid_member: attach it with rsconfig -a, and assemble it with mdadm --readonly'],
    [AMBIVALENT, 'its exit code is 8', 'but several signatures that contradict each other'],
    ['', 'its exit code is 2', 'db has no file system, but nothing that blkid knows: nothing there can be mounted'],
  ])('refuses %j', (output, failure, said) => {
    expect(() => typeOf('db', contentOf('db', { failure, output }))).toThrow(said);
  });

  it.each([
    ['', 'spawn blkid ENOENT', 'blkid cannot read db: spawn blkid ENOENT'],
    ['blkid: error: db: Input/output error\n', 'its exit code is 2', 'blkid cannot read db: blkid: error: db: Input/output error'],
    ['', 'it did not end within 20s', 'blkid cannot read db: it did not end within 20s'],
  ])('never takes the failure %j %j for an empty device', (output, failure, said) => {
    expect(() => contentOf('db', { failure, output })).toThrow(said);
  });
});

const PARTX_GPT = `NR="1" START="2048" SECTORS="65536" TYPE="0fc63daf-8483-4772-8e79-3d69d8477de4" NAME=""
NR="2" START="67584" SECTORS="819200" TYPE="0fc63daf-8483-4772-8e79-3d69d8477de4" NAME=""
`;
const PARTX_DOS = `NR="1" START="2048" SECTORS="16384" TYPE="0xc"
NR="2" START="18432" SECTORS="20480" TYPE="0x5"
NR="5" START="20480" SECTORS="10240" TYPE="0x83"
`;

describe('partitionsIn', () => {
  it('counts in bytes, and leaves extended partitions out', () => {
    expect(partitionsIn(PARTX_GPT)).toEqual([
      { number: 1, offsetBytes: 1_048_576, sizeBytes: 33_554_432 },
      { number: 2, offsetBytes: 34_603_008, sizeBytes: 419_430_400 },
    ]);
    expect(partitionsIn(PARTX_DOS).map(({ number }) => number)).toEqual([1, 5]);
  });

  it('has a bound', () => {
    const line = (at: number): string => `NR="${at + 1}" START="${at + 1}" SECTORS="1" TYPE="x"`;
    expect(() => partitionsIn(Array.from({ length: 129 }, (_, at) => line(at)).join('\n'))).toThrow('129 partitions, and 128 are allowed');
  });
});

function found(...outputs: readonly string[]): FoundPartition[] {
  return outputs.map((output, at) => ({
    ...{ number: at + 1, offsetBytes: 512 * (at + 1), sizeBytes: 2 ** 30 },
    content: contentOf('db', { failure: output === '' ? 'its exit code is 2' : null, output }),
  }));
}

describe('choosePartition', () => {
  it('takes the only one with a file system', () => {
    expect(choosePartition('db', found('', XFS, SWAP), null)).toMatchObject({ partition: { number: 2 }, type: 'xfs' });
  });

  it('takes the named one of several', () => {
    expect(choosePartition('db', found(EXT4, XFS), 2)).toMatchObject({ partition: { number: 2 }, type: 'xfs' });
  });

  it.each([
    [found(EXT4, XFS), null, 'Several partitions of db have file systems: give --partition N; its partitions are 1: ext4, 1g; 2: xfs, 1g'],
    [found('', SWAP), null, 'No partition of db has a file system: its partitions are 1: nothing that blkid knows, 1g; 2: swap, 1g'],
    [[], null, 'No partition of db has a file system: it has no partition'],
    [found(EXT4), 3, 'db has no partition 3: its partitions are 1: ext4, 1g'],
    [found(EXT4, LUKS), 2, 'Partition 2 of db has no file system, but crypto_LUKS'],
  ])('refuses with the list of all: %#', (partitions, wanted, said) => {
    expect(() => choosePartition('db', partitions, wanted)).toThrow(said);
  });
});

const PART = { number: 2, offsetBytes: 1_048_576, sizeBytes: 4_096 };

it.each([
  ['xfs', 'plain', null, false, 'ro,nosuid,nodev,_netdev,nouuid'],
  ['xfs', 'skips', null, false, 'ro,nosuid,nodev,_netdev,nouuid,norecovery'],
  ['xfs', 'replays', null, true, 'rw,nosuid,nodev,_netdev,nouuid,loop'],
  ['ext4', 'plain', null, false, 'ro,nosuid,nodev,_netdev'],
  ['ext4', 'skips', PART, false, 'ro,nosuid,nodev,_netdev,noload,loop,offset=1048576,sizelimit=4096'],
  ['ext3', 'skips', null, false, 'ro,nosuid,nodev,_netdev,noload'],
  ['btrfs', 'skips', null, false, 'ro,nosuid,nodev,_netdev,rescue=nologreplay'],
  ['vfat', 'plain', PART, false, 'ro,nosuid,nodev,_netdev,loop,offset=1048576,sizelimit=4096'],
  ['constructor', 'skips', null, false, 'ro,nosuid,nodev,_netdev'],
] as const)('mounts %s, %s, %j, image %s', (type, opening, partition, isImage, options) => {
  expect(mountOptions(type, opening, partition, isImage)).toBe(options);
});
