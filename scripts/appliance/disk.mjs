// Lays out the disk of the appliance: GRUB for BIOS and UEFI, a boot partition, two slots and the configuration partition. No root and no loop
// device is needed. Invariants: slot B is empty, so that the boot menu has one system until the first upgrade; the ids of the partitions are
// those by which the first boot knows that it has to replace them (packaging/appliance/initramfs-boot).

import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const SECTOR_BYTES = 512;
/** Sizes in MiB. A slot has room for later systems. */
const PARTITIONS = [
  { name: 'rsio-bios', mib: 1, type: '21686148-6449-6E6F-744E-656564454649' },
  { name: 'rsio-boot', mib: 64, type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B' },
  { name: 'rsio-a', mib: 640, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' },
  { name: 'rsio-b', mib: 640, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' },
  { name: 'rsio-config', mib: 256, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' },
];
const MODULES = 'part_gpt fat squash4 gzio normal configfile linux loadenv serial terminal echo test regexp probe reboot minicmd'.split(
  ' ',
);
const IMAGE_IDS = '52534f49-0000-4000-8000-';
const GRUB = '/usr/lib/grub';
/** Offsets in GRUB's boot.img and in the first sector of its core image (the list of blocks that follow). */
const BOOT = { coreSector: 0x5c, driveCheck: 0x66, codeBytes: 440 };
const CORE_LIST = SECTOR_BYTES - 12;

/** Writes the image. `system`: a sealed squashfs. `work`: a folder for intermediate files. */
export function makeDisk(file, { system, grubConfig, work }) {
  let start = 1;
  const places = PARTITIONS.map((one) => ({ ...one, start: (start += one.mib) - one.mib }));
  const disk = openSync(file, 'w+');
  try {
    ftruncateSync(disk, (start + 1) * MIB);
    const table = places.map(({ name, mib, type, start: at }, index) => {
      const id = `${IMAGE_IDS}${String(index + 1).padStart(12, '0')}`;
      return `start=${at}MiB, size=${mib}MiB, type=${type}, name=${name}, uuid=${id}`;
    });
    execFileSync('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', file], { input: `label: gpt\n${table.join('\n')}\n` });
    const write = ({ name, mib, start: at }, content) => {
      if (content.length > mib * MIB) throw new Error(`Partition ${name} has ${mib} MiB, too little for ${content.length} bytes`);
      writeSync(disk, content, 0, content.length, at * MIB);
    };
    const [bios, boot, slotA, , config] = places;
    const coreSector = (bios.start * MIB) / SECTOR_BYTES;
    write(bios, biosCore(work, coreSector));
    writeSync(disk, bootSector(coreSector), 0, BOOT.codeBytes, 0);
    write(boot, bootPartition(boot.mib, grubConfig, work));
    write(slotA, readFileSync(system));
    write(config, configPartition(config.mib, work));
  } finally {
    closeSync(disk);
  }
}

function mkimage(format, prefix, work, out, ...more) {
  const early = join(work, 'early.cfg');
  // Without `configfile`, GRUB would search its prefix for modules, which are all in the image.
  writeFileSync(
    early,
    'regexp --set=1:disk "^(hd[0-9]+)" "$root"\nset root="$disk,gpt2"\nset prefix="($root)/grub"\nconfigfile /grub/grub.cfg\n',
  );
  execFileSync('grub-mkimage', ['-O', format, '-o', out, '-p', prefix, '-c', early, ...MODULES, ...more]);
}

/** The core image, with the place of its further sectors in the first one. */
function biosCore(work, sector) {
  const out = join(work, 'core.img');
  mkimage('i386-pc', '(,gpt2)/grub', work, out, 'biosdisk', 'vga_text');
  const core = readFileSync(out);
  core.writeBigUInt64LE(BigInt(sector + 1), CORE_LIST);
  core.writeUInt16LE(Math.ceil(core.length / SECTOR_BYTES) - 1, CORE_LIST + 8);
  return core;
}

/** The boot sector without the table of partitions, which sfdisk has written. */
function bootSector(coreSector) {
  const boot = readFileSync(join(GRUB, 'i386-pc/boot.img'));
  boot.writeBigUInt64LE(BigInt(coreSector), BOOT.coreSector);
  // The BIOS says from which drive it booted; GRUB's own check mistrusts it for floppy disks.
  boot.writeUInt16LE(0x9090, BOOT.driveCheck);
  return boot.subarray(0, BOOT.codeBytes);
}

function bootPartition(mib, grubConfig, work) {
  const [fat, efi, env] = ['boot.fat', 'bootx64.efi', 'grubenv'].map((name) => join(work, name));
  mkimage('x86_64-efi', '/grub', work, efi, 'efi_gop', 'all_video');
  writeFileSync(env, `# GRUB Environment Block\ngood=a\n`.padEnd(1024, '#'));
  execFileSync('mkfs.vfat', ['-F', '32', '-n', 'RSIO-BOOT', '-C', fat, `${mib * 1024}`], { stdio: 'ignore' });
  execFileSync('mmd', ['-i', fat, '::/EFI', '::/EFI/BOOT', '::/grub']);
  for (const [from, to] of Object.entries({ [efi]: 'EFI/BOOT/BOOTX64.EFI', [grubConfig]: 'grub/grub.cfg', [env]: 'grub/grubenv' }))
    execFileSync('mcopy', ['-i', fat, from, `::/${to}`]);
  return readFileSync(fat);
}

function configPartition(mib, work) {
  const file = join(work, 'config.ext4');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-L', 'rsio-config', file, `${mib}M`]);
  return readFileSync(file);
}
